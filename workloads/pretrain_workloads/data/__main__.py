"""`python -m pretrain_workloads.data STAGE`: one task of one stage of a DataPipeline."""

from pretrain_api.reports import ExitReport
from pretrain_api.runs import PIPELINE_STAGES, PipelineRun
from pretrain_workloads.task import load_run, run_stage_program, task_rank


def run_stage(stage: str) -> ExitReport:
    """Run this pod's task of `stage`; each stage imports only what it needs."""
    run, rank = load_run(PipelineRun), task_rank()
    match stage:
        case "list":
            from pretrain_workloads.data.listing import list_inputs

            return list_inputs(run)
        case "prepare":
            from pretrain_workloads.data.prepare import prepare

            return prepare(run, rank)
        case "match":
            from pretrain_workloads.data.match import match

            return match(run, rank)
        case "decide":
            from pretrain_workloads.data.decide import decide

            return decide(run)
        case "write":
            from pretrain_workloads.data.write import write

            return write(run, rank)
    from pretrain_workloads.data.report import report

    return report(run)


if __name__ == "__main__":
    run_stage_program("pretrain_workloads.data", PIPELINE_STAGES, run_stage)
