"""Models of checkpoints and of architectures, built and ready to be rewritten or to translate."""
