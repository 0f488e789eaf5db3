import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batches import make_batch
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.models.build import build_models
from pretrain_workloads.data.models.samples import excerpt, read_samples
from pretrain_workloads.data.models.scoring import QUALITY, TextScorer
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_uri

WORDS = {
    "sea": "wave harbour sail tide anchor reef captain deck storm gull".split(),
    "farm": "plough barn wheat cattle orchard fence tractor hay goat soil".split(),
}


def write_samples(folder: Path, subject: str, count: int = 300) -> dict[str, Any]:
    """Write samples of a subject; return their source."""
    rng = random.Random(subject)
    lines = [
        json.dumps({"text": " ".join(rng.choices(WORDS[subject], k=10)) + f" {n}"})
        for n in range(count)
    ]
    (folder / f"{subject}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {"name": subject, "uri": f"file://{folder}/{subject}.jsonl", "domain": subject}


def spec(models: dict[str, Any]) -> DataPipelineSpec:
    return DataPipelineSpec.model_validate(
        {
            "sources": [{"name": "s", "uri": "file:///pretrain/data/*.jsonl"}],
            "output": {"uri": "file:///pretrain/out"},
            "models": models,
        }
    )


def scorer(models: dict[str, Any], folder: Path) -> TextScorer:
    """Return the models of a spec, built in `folder`."""
    parsed, storage = spec(models), open_uri(f"file://{folder}/artifact")
    build_models(parsed, storage, PipelineFiles(1))
    return TextScorer(parsed.models, storage)


def test_a_trained_model_scores_and_drops_below_the_minimum(tmp_path: Path) -> None:
    good, bad = write_samples(tmp_path, "sea"), write_samples(tmp_path, "farm")
    keep = [{"languages": ["en"], "minimum": 0.5}]
    models = scorer({"quality": {"good": [good], "bad": [bad], "keep": keep}}, tmp_path)
    batch = models.score(make_batch(["tide reef sail", "hay goat barn"], language="en"))
    assert batch.features[QUALITY][0] > 0.9
    assert batch.features[QUALITY][1] < 0.1
    rows, reasons = models.below_minimum(batch)
    assert rows.tolist() == [1]
    assert reasons[0].endswith("less than 0.5")
    elsewhere = models.score(make_batch(["hay goat barn"], language="fr"))
    assert not len(models.below_minimum(elsewhere)[0])


def test_the_domain_is_told_where_the_model_is_sure(tmp_path: Path) -> None:
    samples = [write_samples(tmp_path, "sea"), write_samples(tmp_path, "farm")]
    models = scorer({"domain": {"samples": samples, "minScore": 0.9}}, tmp_path)
    texts = ["tide reef sail deck gull", "hay goat barn soil fence", "hay tide"]
    assert models.score(make_batch(texts)).domains == ["sea", "farm", "unknown"]


def test_the_measures_and_the_files_are_recorded_once(tmp_path: Path) -> None:
    samples = [write_samples(tmp_path, "sea"), write_samples(tmp_path, "farm")]
    parsed = spec({"domain": {"samples": samples}})
    storage, names = open_uri(f"file://{tmp_path}/artifact"), PipelineFiles(1)
    build_models(parsed, storage, names)
    done = storage.read_json(names.models)
    assert done["summary"]["domain"]["samples"] == 600
    assert min(done["summary"]["domain"]["accuracy"].values()) > 0.9
    assert [file["path"] for file in done["files"]] == ["models/domain.npz"]
    (tmp_path / "sea.jsonl").unlink()  # a second run does not look at the samples
    build_models(parsed, storage, names)
    assert storage.read_json(names.models) == done


@pytest.mark.parametrize("count", [3, 49])
def test_too_few_samples_are_told_with_their_number(tmp_path: Path, count: int) -> None:
    good, bad = write_samples(tmp_path, "sea", count), write_samples(tmp_path, "farm")
    want = rf"spec.models.quality: good has {count}; two classes or more are needed, and 50 differ"
    with pytest.raises(UserError, match=want):
        scorer({"quality": {"good": [good], "bad": [bad]}}, tmp_path)


def test_one_domain_is_no_choice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sea is the only class"):
        scorer({"domain": {"samples": [write_samples(tmp_path, "sea")]}}, tmp_path)


def test_a_wrong_field_does_not_make_every_sample_a_class(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"text {n}", "url": f"https://host/{n}"}) for n in range(5000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = {"name": "a", "uri": f"file://{tmp_path}/a.jsonl", "domainField": "url"}
    with pytest.raises(UserError, match="more than 64 classes, such as https://host/64"):
        scorer({"domain": {"samples": [source]}}, tmp_path)


def test_each_class_has_its_share_of_samples_whatever_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pretrain_workloads.data.models.samples.MOST", 360)
    sea, farm = write_samples(tmp_path, "sea"), write_samples(tmp_path, "farm")
    small = dict(write_samples(tmp_path, "sea", 0), name="port", domain="port")
    small["uri"] = f"file://{tmp_path}/port.jsonl"
    texts = [json.dumps({"text": f"pier and crane {n}"}) for n in range(60)]
    (tmp_path / "port.jsonl").write_text("\n".join(texts), encoding="utf-8")
    write_samples(tmp_path, "sea")
    found = []
    for order in ([sea, farm, small], [small, farm, sea]):
        labelled = [(None, Source.model_validate(source)) for source in order]
        found.append(read_samples("samples", labelled, 1 << 20))
    assert found[0] == found[1]
    assert {name: len(of) for name, of in found[0].items()} == {"farm": 120, "port": 60, "sea": 120}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"body": "a"}\n' * 70, "the fields are body: set textField"),
        (b"\x00\xff{" * 70 + b"\n", "invalid JSON"),
    ],
)
def test_samples_that_cannot_be_read_say_why(tmp_path: Path, content: bytes, reason: str) -> None:
    good, bad = write_samples(tmp_path, "sea"), write_samples(tmp_path, "farm")
    (tmp_path / "sea.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=f"source sea: none of .*{reason}"):
        scorer({"quality": {"good": [good], "bad": [bad]}}, tmp_path)


def test_a_text_that_repeats_is_one_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain_workloads.data.models.samples.MOST", 200)
    sea, farm = write_samples(tmp_path, "sea"), write_samples(tmp_path, "farm")
    lines = (tmp_path / "sea.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "sea.jsonl").write_text("\n".join(lines * 20), encoding="utf-8")
    labelled = [(None, Source.model_validate(source)) for source in (sea, farm)]
    found = read_samples("samples", labelled, 1 << 20)
    assert {name: len(of) for name, of in found.items()} == {"farm": 100, "sea": 100}


def test_of_a_long_sample_start_and_middle_are_kept() -> None:
    text = "a" * 2000 + "b" * 4000 + "c" * 2000
    assert excerpt(text) == "a" * 1024 + "\n" + "b" * 1024
    assert excerpt("short") == "short"


ZH = """今天早上，他沿着河边走了很久，想起了小时候和父亲一起钓鱼的日子。那时候的水很清，鱼也很多，
他们常常坐到太阳落山才回家。母亲总是站在门口等着，手里拿着一条旧毛巾，看见他们回来就笑了起来。
后来村子里修了公路，河上架了桥，年轻人一个个都去了城里。他也离开了家，在外面工作了二十多年。
这一次回来，他发现老房子还在，只是墙上的漆已经掉光了。邻居告诉他，去年夏天的大雨把后院的墙冲倒了。
他没有修，只在院子里坐了一个下午，听风吹过树叶的声音，直到天黑。"""

EN = """The river had risen during the night, and by morning the lower fields lay under water.
Nobody in the village remembered a flood like it. The old men said that the last one had come in
the year when the church was built, and even then the mill had stayed dry. We carried the chairs
upstairs and waited. By noon the rain had stopped, but the water kept rising until the evening."""


def test_the_default_model_knows_prose_in_two_languages(tmp_path: Path) -> None:
    junk = "首页 登录 注册 联系我们 | 首页 登录 注册 " * 8
    spam = "Buy cheap watches online free shipping best price click here now " * 6
    languages = ["zh", "en", "zh", "en", "fr", "en"]
    batch = make_batch([ZH, EN, junk, spam, EN, EN[:100]])
    batch = batch.with_languages(languages, np.ones(len(languages), np.float32))
    scores = scorer({"quality": {}}, tmp_path).score(batch).features[QUALITY]
    assert min(scores[:2]) > 0.5, scores
    assert max(scores[2:4]) < 0.2, scores
    assert np.isnan(scores[4:]).all(), "neither French nor short texts"


def test_without_models_a_batch_stays_as_it_is(tmp_path: Path) -> None:
    batch = make_batch(["text"])
    folder: Folder = open_uri(f"file://{tmp_path}")
    assert TextScorer(spec({}).models, folder).score(batch) is batch
