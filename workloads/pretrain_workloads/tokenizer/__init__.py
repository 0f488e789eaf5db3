"""Documents become a tokenizer, whose Hugging Face form gives the ids that training sees.

    sample ─► train (`bpe`: SentencePiece, converted; `byteLevelBpe`) ─► measure

Encoding is lossless: decoding gives the same text with its spaces, tabs and line ends, and
characters outside the vocabulary are encoded as bytes. The exception is U+2581, by which
SentencePiece represents a space: with `bpe`, it is decoded as a space.
"""
