"""Megatron-core: how the model is divided over the ranks, built, run and optimized."""
