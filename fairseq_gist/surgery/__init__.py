"""Turning a model, its optimizer state and its checkpoints into what a plan describes; torch only."""
