"""`python -m pretrain_workloads.tokenizer`: the training of a Tokenizer."""

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_workloads.task import load_run, run_program


def run() -> ExitReport:
    """Make the tokenizer that the mounted run describes."""
    from pretrain_workloads.tokenizer.build import build

    return build(load_run(TokenizerRun))


if __name__ == "__main__":
    run_program(run)
