"""`python -m pretrain_workloads.dataset STAGE`: one task of one stage of a TokenDataset."""

from pretrain_api.reports import ExitReport
from pretrain_api.runs import DATASET_STAGES, DatasetRun
from pretrain_workloads.storage import open_output
from pretrain_workloads.task import (
    load_run,
    run_again_if_complete,
    run_stage_program,
    run_unless_complete,
    task_rank,
)


def run_stage(stage: str) -> ExitReport:
    """Run this pod's task of `stage`; each stage imports only what it needs."""
    run, rank = load_run(DatasetRun), task_rank()
    folder = open_output(run)
    match stage:
        case "tokenize":
            from pretrain_workloads.dataset.tokenize import tokenize

            return run_again_if_complete(folder, lambda: tokenize(run, rank))
        case "compose":
            from pretrain_workloads.dataset.compose import compose

            return run_unless_complete(folder, lambda: compose(run))
        case "block":
            from pretrain_workloads.dataset.block import write_blocks

            return run_unless_complete(folder, lambda: write_blocks(run, rank))
    from pretrain_workloads.dataset.seal import seal

    return run_again_if_complete(folder, lambda: seal(run))


if __name__ == "__main__":
    run_stage_program("pretrain_workloads.dataset", DATASET_STAGES, run_stage)
