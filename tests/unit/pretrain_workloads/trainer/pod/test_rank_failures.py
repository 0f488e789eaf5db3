"""The class of a rank's exception."""

import pytest

from pretrain_api.reports import ExitClass
from pretrain_workloads.trainer.pod.rank_failures import explain_failure


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled system error", "infrastructure"),
        ("CUDA error: uncorrectable ECC error encountered", "infrastructure"),
        ("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx", "infrastructure"),
        ("[enforce fail at gloo/transport/tcp/device.cc:84] rp != nullptr", "infrastructure"),
        ("can't start new thread", "infrastructure"),
        ("Connection closed by peer [127.0.0.1]:4242", "infrastructure"),
        ("Timed out waiting 600000ms for recv operation to complete", "hang"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", "outOfMemory"),
        ("DefaultCPUAllocator: can't allocate memory: you tried to", "outOfMemory"),
        ("mat1 and mat2 shapes cannot be multiplied (8x64 and 32x64)", "programError"),
        ("CUDA error: device-side assert triggered", "programError"),
        ("The size of tensor a (4) must match the size of tensor b (3)", "programError"),
    ],
)
def test_torchs_one_class_of_exceptions_is_classified_by_its_text(text: str, want: str) -> None:
    report, _ = explain_failure(RuntimeError(text))
    assert report.exit_class.value == want
    assert text[:60] in report.message


def test_out_of_memory_says_what_to_change() -> None:
    report, _ = explain_failure(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert "lower spec.training.microBatchSize, set spec.training.recompute" in report.message


def test_torchs_own_errors_of_communication_are_not_bugs() -> None:
    torch = pytest.importorskip("torch")
    report, _ = explain_failure(torch.distributed.DistBackendError("invalid usage"))
    assert report.exit_class is ExitClass.INFRASTRUCTURE


def test_a_bug_is_reported_with_its_place() -> None:
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("shapes cannot be multiplied")
    report, collateral = explain_failure(raised.value)
    assert not collateral
    assert "(pod/test_rank_failures.py:" in report.message
