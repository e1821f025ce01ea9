"""What the models have in common that come from a folder of Hugging Face's transformers."""
