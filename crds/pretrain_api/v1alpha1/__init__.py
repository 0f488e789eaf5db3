"""The kinds of `pretrain.dev/v1alpha1`."""
