"""Find exact and near-duplicate documents, and decide which of them stay.

    minhash ─► signature_files ─► groups ─► pairs ─► selection

`prepare` signs documents, `match` finds and verifies the similar pairs of some bands, `decide`
selects the documents that stay: a document is dropped only for one that stays.
"""
