"""The chart configures the webhook for the kinds that it checks."""

from pretrain_api.kinds import KINDS
from pretrain_api.meta import GROUP, VERSION
from webhooks import chart_webhook


def test_the_webhook_is_called_for_every_kind_of_ours() -> None:
    [rule] = chart_webhook()["rules"]
    assert sorted(rule["resources"]) == sorted(kind.plural for kind in KINDS)
    assert (rule["apiGroups"], rule["apiVersions"]) == ([GROUP], [VERSION])
