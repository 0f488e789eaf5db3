"""`kubectl pretrain`: check and plan manifests, with or without a cluster."""
