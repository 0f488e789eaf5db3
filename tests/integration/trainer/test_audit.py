"""The audit of a run: equal in every layout, after a resume, and wrong when a token was changed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.training_runs import BATCH, LENGTH, write_dataset
from pretrain_api.reports import Audit, ExitClass
from pretrain_api.runs import AuditRun
from pretrain_workloads.reader.audit import audit

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

BLOCKS, SEQUENCES, DOCUMENT = 2, 24, 100
STREAM = BLOCKS * SEQUENCES * LENGTH + 1


def write_data(pods: TrainerPods) -> None:
    """Write small blocks, and a ledger of documents of `DOCUMENT` tokens for them."""
    folder = pods.root / "data"
    folder.unlink()
    write_dataset(folder, blocks=BLOCKS, sequences=SEQUENCES)
    starts = np.arange(0, STREAM, DOCUMENT)
    rows = len(starts)
    table = {
        "artifact": ["a" * 64] * rows,
        "row": list(range(rows)),
        "source": ["poems" if row % 3 else "prose" for row in range(rows)],
        "language": ["zh"] * rows,
        "domain": [None] * rows,
        "split": ["train"] * rows,
        "part": [0] * rows,
        "tokens": np.minimum(DOCUMENT, STREAM - starts),
        "start": starts,
    }
    pq.write_table(pa.table(table), folder / "ledger.parquet")


def run_of(steps: int, **layout: Any) -> dict[str, Any]:
    return {
        "training": {
            "tokens": steps * BATCH * LENGTH,
            "schedule": {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}},
        },
        "parallelism": layout,
        "evaluation": {"perplexity": False},
    }


def audit_of(pods: TrainerPods, monkeypatch: pytest.MonkeyPatch) -> Audit:
    monkeypatch.setenv("PRETRAIN_ROOT", str(pods.root))
    (folder,) = (pods.root / "checkpoints").glob("*/*")
    place = f"file:///pretrain/checkpoints/{folder.parent.name}/{folder.name}"
    value = {
        "name": "run",
        "namespace": "default",
        "run": {"uri": place, "digest": "f" * 64},
        "dataset": {"uri": "file:///pretrain/data", "digest": "d" * 64},
        "seed": 1234,
    }
    return audit(AuditRun.model_validate(value))


@pytest.mark.parametrize(
    "layout",
    [
        {"processes": 1},
        {"processes": 4, "tensor": 2},
        {"processes": 4, "pipeline": 2, "virtualPipeline": 2},
        {"processes": 2, "context": 2},
    ],
)
def test_every_token_is_traced_in_every_layout_after_a_resume(
    layout: dict[str, Any], pods: TrainerPods, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(pods)
    for steps in (4, 9):  # an epoch has 6
        report = pods.attempt(**run_of(steps, **layout))
        assert report.exit_class is ExitClass.COMPLETE, report.message
    found = audit_of(pods, monkeypatch)
    assert (found.step, found.samples, found.epochs) == (9, 72, 1.5)
    assert found.traced_tokens == found.tokens == 72 * LENGTH
    assert found.checksum == "equal"
    assert found.is_sound
    assert found.documents == -(-STREAM // DOCUMENT)
    assert 1.0 < found.most_uses <= 2.0
    sources = {one.name: one.tokens for one in found.groups if one.by == "source"}
    assert sources.keys() == {"poems", "prose"}
    assert sum(sources.values()) == found.tokens


def test_a_changed_token_and_a_ledger_with_a_gap_are_found(
    pods: TrainerPods, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(pods)
    assert pods.attempt(**run_of(6)).exit_class is ExitClass.COMPLETE
    assert audit_of(pods, monkeypatch).is_sound
    ledger = pods.root / "data/ledger.parquet"
    whole = pq.read_table(ledger)
    pq.write_table(whole.filter(pa.compute.not_equal(whole["row"], 3)), ledger)
    gap = audit_of(pods, monkeypatch)
    assert gap.tokens - gap.traced_tokens == DOCUMENT
    assert not gap.is_sound
    pq.write_table(whole, ledger)
    block = pods.root / "data/blocks/00001.bin"
    ids = np.fromfile(block, np.uint16)
    ids[7] ^= 1
    ids.tofile(block)
    changed = audit_of(pods, monkeypatch)
    assert (changed.checksum, changed.is_sound) == ("different", False)


def test_a_run_that_an_earlier_version_began_has_an_unknown_checksum(
    pods: TrainerPods, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(pods)
    assert pods.attempt(**run_of(3)).exit_class is ExitClass.COMPLETE
    (marker,) = (pods.root / "checkpoints").glob("*/*/checkpoints/*/COMPLETE.json")
    lines = [line for line in marker.read_text().splitlines() if "readChecksum" not in line]
    marker.write_text("\n".join(lines))
    (finished,) = (pods.root / "checkpoints").glob("*/*/MANIFEST.json")
    shutil.move(finished, Path(f"{finished}.away"))
    assert pods.attempt(**run_of(6)).exit_class is ExitClass.COMPLETE
    found = audit_of(pods, monkeypatch)
    assert (found.step, found.checksum) == (6, "unknown")
    assert found.is_sound
