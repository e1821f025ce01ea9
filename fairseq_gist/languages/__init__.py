"""Which language a row is, and which languages are related."""
