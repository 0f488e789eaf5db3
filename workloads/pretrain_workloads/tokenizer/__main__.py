"""`python -m pretrain_workloads.tokenizer`: the training of a Tokenizer."""

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_workloads.storage import open_output
from pretrain_workloads.task import load_run, run_again_if_complete, run_program


def run() -> ExitReport:
    """Make the tokenizer that the mounted run describes."""
    from pretrain_workloads.tokenizer.build import build

    made = load_run(TokenizerRun)
    return run_again_if_complete(open_output(made), lambda: build(made))


if __name__ == "__main__":
    run_program(run)
