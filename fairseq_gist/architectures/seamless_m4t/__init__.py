"""The speech-to-text model of SeamlessM4T, from transformers."""
