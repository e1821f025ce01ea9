"""A package as pip installs it, which brings one of each kind."""
