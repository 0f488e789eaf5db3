"""Annotations that we put on Jobs, to read them back after a restart."""

from pretrain_api.meta import GROUP

CONFIG_MAP_ANNOTATION = f"{GROUP}/config-map"
"""The ConfigMap of the Job's pods, to be deleted with it."""

PLACEMENT_ANNOTATION = f"{GROUP}/placement"
"""Digest of the placement that the Job's pods were made with."""

INPUTS_ANNOTATION = f"{GROUP}/inputs"
"""The artifacts that a run is bound to, as JSON, should the status not have them yet."""
