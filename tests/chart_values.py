"""Sets of values by which the chart is tested."""

from typing import Any

Json = dict[str, Any]

MONITORING = {
    "podMonitors": {"enabled": True, "labels": {"release": "prometheus"}},
    "alerts": {"enabled": True},
    "dashboard": {"enabled": True},
}
VALUES: dict[str, Json] = {
    "default": {},
    "everything": {
        "webhook": {"enabled": True, "failurePolicy": "Fail"},
        "monitoring": MONITORING,
        "networkPolicy": {"enabled": True},
    },
    "cert-manager": {
        "webhook": {
            "enabled": True,
            "certificate": {"issuerRef": {"kind": "ClusterIssuer", "name": "ca"}},
        }
    },
    "own-certificate": {
        "webhook": {
            "enabled": True,
            "certificate": {"secretName": "ours", "caBundle": "Q0E="},
        }
    },
    "one-namespace": {
        "watchNamespace": "default",
        "monitoring": MONITORING,
        "webhook": {"enabled": True, "certificate": {"secretName": "x", "caBundle": "Q0E="}},
    },
    "private-registry": {
        "image": {
            "registry": "registry.example.com/llm/",
            "digest": f"sha256:{'0' * 64}",
            "pullSecrets": [{"name": "registry"}],
        },
        "env": {"PRETRAIN_PROGRESS_VIA": "apiserver", "PRETRAIN_WORKERS": 8},
    },
    "scheduling": {
        "replicas": 1,
        "nodeSelector": {"role": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}
                    ]
                }
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
            }
        ],
        "priorityClassName": "system-cluster-critical",
        "podAnnotations": {"team": "platform"},
        "podLabels": {"team": "platform"},
        "commonLabels": {"cost": "shared"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    },
    "bring-your-own": {
        "fullnameOverride": "trainer-control",
        "serviceAccount": {"create": False, "name": "ours"},
        "rbac": {"create": False, "userRoles": False},
        "crds": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    },
    "profiles": {
        "crds": {"enabled": False},
        "computeProfiles": [
            {
                "name": "h100",
                "default": True,
                "spec": {
                    "accelerator": {"name": "h100", "perNode": 8},
                    "images": {"trainer": "registry.example.com/ngc-trainer:1"},
                },
            }
        ],
    },
}
