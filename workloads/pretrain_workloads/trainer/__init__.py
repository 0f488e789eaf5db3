"""Trains a model with Megatron-core: in each pod a launcher, and one rank process per device."""
