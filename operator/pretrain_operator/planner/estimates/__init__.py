"""Estimates of a training run: memory and parameters of each device, time of a step."""
