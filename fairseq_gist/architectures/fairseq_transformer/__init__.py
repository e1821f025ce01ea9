"""fairseq's speech-to-text transformer."""
