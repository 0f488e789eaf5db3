"""Annotations that the operator writes to Jobs, and reads back after a restart."""

from pretrain_api.meta import GROUP

CONFIG_MAP_ANNOTATION = f"{GROUP}/config-map"
"""Name of the ConfigMap that the Job's pods read; it is deleted together with the Job."""

PLACEMENT_ANNOTATION = f"{GROUP}/placement"
"""Digest of the placement that the Job's pods were created with."""

INPUTS_ANNOTATION = f"{GROUP}/inputs"
"""The artifacts that a run is bound to, as JSON, in case its status was not written."""
