"""Phrases of the Unicode CLDR, spoken by eSpeak NG."""
