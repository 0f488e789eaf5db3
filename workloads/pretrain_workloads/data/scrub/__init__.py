"""Mask personal data and secrets: patterns find candidates, and checks tell them from look-alikes.

To add a kind: a field of `Scrub` in `pretrain_api.v1alpha1.pipeline.scrub`, and an entry in
`kinds.KINDS`.
"""
