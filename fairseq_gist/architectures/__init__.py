"""The models that a sharing plan can rewrite: one folder each."""
