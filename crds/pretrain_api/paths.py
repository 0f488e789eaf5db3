"""Where a pod finds what the control plane gives it. Everything lies below `/pretrain`."""

ROOT = "/pretrain"

ROOT_VARIABLE = "PRETRAIN_ROOT"
"""Environment variable that says where `/pretrain` really is, on a node that cannot mount there.
Unset means `/pretrain` itself."""

SPEC = f"{ROOT}/spec/spec.json"
"""The run's spec, a JSON document of `pretrain_api.runs`, from a ConfigMap."""

SECRETS = f"{ROOT}/secrets"
"""One folder for each Secret that the run's locations name, one file for each of its keys."""

SCRATCH = f"{ROOT}/scratch"
"""An emptyDir for temporary files."""

TERMINATION = f"{ROOT}/termination-log"
"""The termination message: one `ExitReport` as JSON, at most 4,096 bytes."""

GROUP = 65532
"""Group, and user, that our images run as; new volumes are given to it, or pods could not write."""

PROGRESS_PORT = 8090
"""Port, on the pod's own address, of `/progress` (JSON) and `/metrics` (Prometheus)."""

HOSTS_VARIABLE = "PRETRAIN_HOSTS"
"""Environment variable that names a file in the form of `/etc/hosts` with the pods of the run's
headless Service, on a node that has neither DNS nor an `/etc/hosts` for each pod. It changes as
pods come, so it is read again at each try. Unset means that the system resolves the names."""
