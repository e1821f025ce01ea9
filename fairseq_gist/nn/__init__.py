"""Grouped modules, the routing of rows to them, and gradients per language; torch only."""
