"""The container runtime: starts containers as processes, in a sandbox or not, and ends them."""
