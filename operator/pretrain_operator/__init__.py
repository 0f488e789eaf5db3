"""The control plane: a Kopf operator that turns our objects into Kubernetes Jobs."""
