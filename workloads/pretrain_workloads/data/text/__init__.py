"""Normalise text, detect its language, and divide it into units for the compiled kernels."""
