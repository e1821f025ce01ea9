"""The figures of the report, one a file: what they show and how they are drawn."""
