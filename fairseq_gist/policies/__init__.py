"""Policies: from gradient statistics and a size budget to a sharing plan, one a file."""
