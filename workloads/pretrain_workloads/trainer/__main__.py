"""`python -m pretrain_workloads.trainer`: the launcher of one pod of a training run."""

from pretrain_workloads.task import run_program
from pretrain_workloads.trainer.launcher import launch

if __name__ == "__main__":
    run_program(launch)
