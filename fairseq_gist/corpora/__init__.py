"""Open corpora that anyone can build: text from public data, speech from a synthesiser."""
