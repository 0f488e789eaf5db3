"""Documents become a tokenizer: a SentencePiece model, and a Hugging Face one with the same ids.

    sample ─► train ─► convert ─► measure

Encoding loses nothing: text comes back as it was, spaces, tabs and line ends included, and
characters that are no pieces are spelled in bytes. (SentencePiece writes a space as U+2581; that
one character comes back as a space.)
"""
