"""Gradient statistics and what they mean; no torch."""
