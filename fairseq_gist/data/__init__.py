"""Corpora, the MuST-C layout, filterbanks, preparation, datasets and batching."""
