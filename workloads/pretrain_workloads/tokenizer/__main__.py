"""`python -m pretrain_workloads.tokenizer`: the training of a Tokenizer."""

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_workloads.exit import leave, load_run, run_task


def run() -> ExitReport:
    """Make the tokenizer that the mounted run describes."""
    from pretrain_workloads.tokenizer.build import build

    return build(load_run(TokenizerRun))


if __name__ == "__main__":
    leave(run_task(run))
