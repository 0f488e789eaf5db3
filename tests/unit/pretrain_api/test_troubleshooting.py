"""Every reason is explained, or known as one of an object that does what it should."""

from pretrain_api.conditions import Reason
from pretrain_api.pages.troubleshooting import ORDINARY, REMEDIES, page


def test_a_new_reason_is_explained_or_added_here() -> None:
    assert {
        Reason.VALID,
        Reason.DEPENDENCIES_READY,
        Reason.STAGE_RUNNING,
        Reason.ATTEMPT_STARTING,
        Reason.ATTEMPT_RUNNING,
        Reason.ATTEMPT_ENDED,
        Reason.NOT_SUSPENDED,
        Reason.COMPLETE,
        Reason.NOT_COMPLETE,
        Reason.NOT_FAILED,
        Reason.CHECKPOINT_SAVED,
    } == ORDINARY


def test_the_page_has_a_row_for_each_with_sentences() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    for reason, (meaning, remedy) in REMEDIES.items():
        assert any(row.startswith(f"| `{reason}` |") for row in rows)
        assert meaning.endswith((".", "Security."))
        assert remedy.endswith(".")
        assert "|" not in meaning + remedy
