"""The models that fairseq registers."""
