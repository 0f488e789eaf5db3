"""Pure arithmetic about a training run: parameters, memory, FLOPs, time."""
