"""Recording gradients per language, in training and on held-out data."""
