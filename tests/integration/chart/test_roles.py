"""Who may do what: the operator, the webhook, and people with the cluster's own roles."""

import pytest

from cluster import Namespace
from helm import Helm
from pretrain_api.meta import GROUP
from pretrain_local.kubectl import KubectlError
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.webhook.object_cache import READ

pytestmark = pytest.mark.integration

WEBHOOK = ("--set=webhook.enabled=true", "--show-only=templates/webhook/rbac.yaml")


def test_the_webhook_may_list_the_kinds_that_it_reads_and_nothing_else() -> None:
    roles = [item for item in Helm().template(*WEBHOOK) if item["kind"].endswith("Role")]
    want = {
        "apiGroups": [GROUP],
        "resources": sorted(OURS[kind].plural for kind in READ),
        "verbs": ["list"],
    }
    (rules,) = [role["rules"] for role in roles]
    assert [{**rule, "resources": sorted(rule["resources"])} for rule in rules] == [want]


def test_every_role_is_bound_to_an_account_of_the_release() -> None:
    manifests = Helm().template("--set=webhook.enabled=true")
    names = {(item["kind"], item["metadata"]["name"]) for item in manifests}
    bound = set()
    for binding in manifests:
        if binding["kind"].endswith("Binding"):
            reference = binding["roleRef"]
            assert (reference["kind"], reference["name"]) in names
            bound.add(reference["name"])
            for subject in binding["subjects"]:
                if subject["kind"] == "ServiceAccount":
                    assert ("ServiceAccount", subject["name"]) in names
    roles = {name for kind, name in names if kind.endswith("Role")}
    assert roles - bound == {"pretrain-view", "pretrain-edit"}, "these are aggregated"


def test_an_operator_of_one_namespace_has_no_rights_in_others_but_on_profiles() -> None:
    roles = [
        item
        for item in Helm().template("--set=watchNamespace=team-a")
        if item["kind"] == "ClusterRole" and item["metadata"]["labels"][COMPONENT] == "operator"
    ]
    (rules,) = [role["rules"] for role in roles]
    resources = {name for rule in rules for name in rule["resources"]}
    assert resources == {"computeprofiles", "computeprofiles/status"}


COMPONENT = "app.kubernetes.io/component"

RIGHTS = {
    ("view", "get", "pretrainjobs"): True,
    ("view", "watch", "datapipelines"): True,
    ("view", "create", "pretrainjobs"): False,
    ("edit", "create", "pretrainjobs"): True,
    ("edit", "delete", "tokenizers"): True,
    ("edit", "patch", "pretrainjobs/status"): False,
    ("edit", "get", "computeprofiles"): True,
    ("edit", "create", "computeprofiles"): False,
    ("admin", "update", "tokendatasets"): True,
}


def test_people_with_the_cluster_s_roles_may_use_our_kinds(namespace: Namespace) -> None:
    namespace.cluster.install_crds()
    manifests = Helm().template("--show-only=templates/access.yaml", release=namespace.name)
    namespace.apply(*manifests)
    for role in ("view", "edit", "admin"):
        namespace.kubectl("create", "serviceaccount", role)
        account = f"--serviceaccount={namespace.name}:{role}"
        namespace.kubectl("create", "rolebinding", role, f"--clusterrole={role}", account)
    try:
        found = {right: may(namespace, *right) for right in RIGHTS}
    finally:
        for manifest in manifests:
            namespace.cluster.kubectl("delete", manifest["kind"], manifest["metadata"]["name"])
    assert found == RIGHTS


def may(namespace: Namespace, role: str, verb: str, resource: str) -> bool:
    """Return whether somebody with a role of the cluster may do something."""
    account = f"system:serviceaccount:{namespace.name}:{role}"
    groups = ("--as-group=system:authenticated", "--as-group=system:serviceaccounts")
    plural, _, part = resource.partition("/")
    words = (f"{plural}.{GROUP}", *([f"--subresource={part}"] if part else []))
    try:
        answer = namespace.kubectl("auth", "can-i", verb, *words, f"--as={account}", *groups)
    except KubectlError:
        return False
    return answer.strip() == "yes"
