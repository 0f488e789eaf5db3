"""The control plane: certificates, kubeconfigs and command lines of the Kubernetes servers."""
