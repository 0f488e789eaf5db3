"""The contract between users, the control plane and the pods: the types of `pretrain.dev`."""
