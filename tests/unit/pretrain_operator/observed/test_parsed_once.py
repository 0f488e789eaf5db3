from dataclasses import replace

import pytest

from builders import make_object, pipeline_spec, ready_status
from pretrain_api.problems import InvalidManifest
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec, DataPipelineStatus
from pretrain_operator.observed.objects import read_spec
from pretrain_operator.observed.states import read_status


def test_spec_and_status_of_a_version_are_parsed_once() -> None:
    observed = make_object("DataPipeline", status=ready_status("thing"))
    assert read_spec(DataPipelineSpec, observed) is read_spec(DataPipelineSpec, observed)
    status = read_status(DataPipelineStatus, observed)
    assert read_status(DataPipelineStatus, observed) is status
    assert type(read_status(DataStatus, observed)) is DataStatus


def test_another_version_is_parsed_again() -> None:
    observed = make_object("DataPipeline")
    before = read_spec(DataPipelineSpec, observed)
    after = read_spec(DataPipelineSpec, replace(observed, spec=pipeline_spec(tasks=9)))
    assert (before.tasks, after.tasks) == (2, 9)
    assert replace(observed, spec=pipeline_spec(tasks=9)) != observed


def test_an_invalid_spec_is_an_error_each_time() -> None:
    observed = make_object("DataPipeline", spec={"tasks": 0})
    for _ in range(2):
        with pytest.raises(InvalidManifest, match=r"spec\.sources: is required"):
            read_spec(DataPipelineSpec, observed)
