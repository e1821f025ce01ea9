"""From the MuST-C release layout to speech-to-text data for fairseq."""
