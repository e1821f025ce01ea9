"""What languages share: plans, their sizes and how they are written down; no torch."""
