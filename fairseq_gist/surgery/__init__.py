"""Making models, optimizer state and checkpoints what a plan describes; torch only."""
