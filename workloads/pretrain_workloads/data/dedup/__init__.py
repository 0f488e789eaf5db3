"""Find exact and near-duplicate documents, and decide which document of a cluster stays.

    minhash ─► bands ─► pairs ─► clusters

`prepare` signs documents, `match` finds the similar pairs, `decide` joins them into clusters.
"""
