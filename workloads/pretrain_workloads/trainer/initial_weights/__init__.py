"""Weights that a run starts from: those of a Hugging Face model, cut as its layout needs them."""
