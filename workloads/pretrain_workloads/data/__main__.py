"""`python -m pretrain_workloads.data STAGE`: one task of one stage of a DataPipeline."""

from pretrain_api.reports import ExitReport
from pretrain_api.runs import PIPELINE_STAGES, PipelineRun
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
    run, rank = load_run(PipelineRun), task_rank()
    if stage == "list":  # it names the artifact
        from pretrain_workloads.data.listing import list_inputs

        return list_inputs(run)
    if stage == "report":
        from pretrain_workloads.data.report import report

        return run_again_if_complete(open_output(run), lambda: report(run))
    return run_unless_complete(open_output(run), lambda: _run_task(stage, run, rank))


def _run_task(stage: str, run: PipelineRun, rank: int) -> ExitReport:
    """Run a task of a stage between the first and the last."""
    match stage:
        case "prepare":
            from pretrain_workloads.data.prepare import prepare

            return prepare(run, rank)
        case "match":
            from pretrain_workloads.data.match import match

            return match(run, rank)
        case "decide":
            from pretrain_workloads.data.decide import decide

            return decide(run)
    from pretrain_workloads.data.write import write

    return write(run, rank)


if __name__ == "__main__":
    run_stage_program("pretrain_workloads.data", PIPELINE_STAGES, run_stage)
