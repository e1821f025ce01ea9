"""fairseq's speech-to-text Conformer."""
