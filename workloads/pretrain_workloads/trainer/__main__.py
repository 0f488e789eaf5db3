"""`python -m pretrain_workloads.trainer`: the launcher of one pod of a training run."""

from pretrain_workloads.exit import leave, run_task
from pretrain_workloads.trainer.launcher import launch

if __name__ == "__main__":
    leave(run_task(launch))
