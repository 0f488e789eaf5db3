"""The chart configures the webhook for the kinds that it checks, and lets it list what it reads."""

from pretrain_api.kinds import KINDS
from pretrain_api.meta import GROUP, VERSION
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.webhook.object_cache import READ
from webhooks import chart_manifests, chart_webhook


def test_the_webhook_is_called_for_every_kind_of_ours() -> None:
    [rule] = chart_webhook()["rules"]
    assert sorted(rule["resources"]) == sorted(kind.plural for kind in KINDS)
    assert (rule["apiGroups"], rule["apiVersions"]) == ([GROUP], [VERSION])


def test_the_webhook_may_list_the_kinds_that_it_reads_and_nothing_else() -> None:
    role = chart_manifests("webhook-rbac.yaml", "release", "system")[0]
    want = {
        "apiGroups": [GROUP],
        "resources": sorted(OURS[kind].plural for kind in READ),
        "verbs": ["list"],
    }
    assert [{**rule, "resources": sorted(rule["resources"])} for rule in role["rules"]] == [want]


def test_the_role_is_bound_to_the_webhooks_account() -> None:
    role, binding, account = chart_manifests("webhook-rbac.yaml", "release", "system")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    [subject] = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (
        account["metadata"]["name"],
        account["metadata"]["namespace"],
    )
