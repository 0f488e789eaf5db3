"""Two objects with the same content work in the same folder at the same time."""

from pathlib import Path

import pytest

from data_chain import OUTPUT, ROOT, DataChain
from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from pretrain_api.runs import PIPELINE_STAGES, PipelineRun
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from stage_runs import SINGLE, StageRunner

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("overtaken", ["prepare", "report"])
def test_an_object_that_another_one_overtakes_ends_with_the_same_result(
    overtaken: str, tmp_path: Path
) -> None:
    runner = StageRunner(tmp_path)
    write_corpus(runner.data / "raw")
    spec = pipeline_spec("file:///pretrain/data/raw", "file:///pretrain/data/artifacts", tasks=2)
    parsed = DataPipelineSpec.model_validate(spec)
    slow = PipelineRun(name="documents", namespace="default", spec=parsed, tasks=parsed.tasks)
    for stage in PIPELINE_STAGES:
        if stage == overtaken:
            fast = runner.run_pipeline(slow.model_copy(update={"artifact": None}))
        tasks = 1 if stage in SINGLE else slow.tasks
        last = runner.run("data", stage, slow, tasks)[0]
        slow = slow.model_copy(update={"artifact": slow.artifact or last.artifact})
    assert last.artifact == fast.artifact
    assert last.pipeline == fast.pipeline
    assert not list(runner.data.rglob("work")), "nothing is left between stages"


def test_a_dataset_that_another_one_overtakes_ends_with_the_same_result(tmp_path: Path) -> None:
    chain = DataChain(StageRunner(tmp_path))
    write_corpus(chain.runner.data / "raw")
    chain.make_documents(pipeline_spec(f"{ROOT}/raw", OUTPUT, tasks=2))
    chain.make_tokenizer(tokenizer_spec(OUTPUT))
    slow = chain.dataset_run(dataset_spec(OUTPUT))
    chain.runner.run("dataset", "tokenize", slow, slow.tasks)
    chain.runner.run("dataset", "compose", slow)
    first = chain.runner.run_dataset(slow)
    chain.runner.run("dataset", "block", slow, slow.tasks)
    (last,) = chain.runner.run("dataset", "seal", slow)
    assert (last.artifact, last.dataset) == (first.artifact, first.dataset)
    assert not list(chain.folder("dataset").rglob("work"))
