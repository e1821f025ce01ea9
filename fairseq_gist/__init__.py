"""Gradient-informed sharing for multilingual speech translation, as a fairseq plugin."""

__all__ = ["__version__"]

__version__ = "0.1.0"
