"""Documents become a tokenizer: a SentencePiece model, and a Hugging Face one with equal ids.

    sample ─► train ─► convert ─► measure

Encoding is lossless: decoding gives the same text with its spaces, tabs and line ends, and
characters outside the vocabulary are encoded as bytes. The exception is U+2581, by which
SentencePiece represents a space: it is decoded as a space.
"""
