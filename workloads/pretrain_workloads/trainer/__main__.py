"""`python -m pretrain_workloads.trainer`: one pod of a training run."""

import sys

from pretrain_workloads.exit import run_task
from pretrain_workloads.trainer.launcher import launch

if __name__ == "__main__":
    sys.exit(run_task(launch))
