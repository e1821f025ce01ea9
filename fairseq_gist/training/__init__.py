"""Recording gradients during training, and differentiating the model at the right moment."""
