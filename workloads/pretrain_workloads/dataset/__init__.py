"""Documents become blocks of token sequences in a chosen mixture: the stages of a TokenDataset.

    tokenize ×N ─► compose ─► block ×N ─► seal

The token stream is the same for any number of tasks. Only `compose` sees all documents, and of
them only the lengths; `block` copies tokens.
"""
