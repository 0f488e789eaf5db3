"""The Hugging Face export of the trained model, its check, and its publication."""
