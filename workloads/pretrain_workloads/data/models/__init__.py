"""Models that score the quality of documents and tell their domain.

samples ─► features ─► training ─► calibration ─► file     (`build`, in stage `list`)
batch ─► scoring ─► columns `quality` and `domain`          (stage `prepare`)
"""
