"""The data plane: what runs inside pods, from raw text to an exported model."""
