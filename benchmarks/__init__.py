"""Measurements of what the plugin costs and saves; ``python -m benchmarks --help``."""
