"""Audio as samples, and as the filterbanks that models hear."""
