"""Names of the files in an artifact of a tokenizer."""

MODEL = "tokenizer.model"
"""The SentencePiece model."""

HUGGING_FACE = "tokenizer.json"
"""The Hugging Face tokenizer."""

CONFIGURATION = "tokenizer_config.json"
"""How the Hugging Face tokenizer is loaded."""
