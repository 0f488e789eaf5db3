"""Documents become blocks of token sequences in a chosen mixture: the stages of a TokenDataset.

    tokenize ×N ─► compose ─► block ×N ─► seal

The stream of tokens is the same for any number of tasks. Only `compose` sees all documents, by
their lengths; `block` copies tokens.
"""
