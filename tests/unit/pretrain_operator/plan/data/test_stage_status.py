import math
from dataclasses import replace

from builders import complete_job, succeeded_pod
from pretrain_api.meta import LARGEST_INTEGER
from pretrain_operator.plan.data.stage_status import stage_status
from stage_plans import first_job, plan, run_to_end, status_after


def test_counts_and_seconds_are_summed_and_survive_the_pods() -> None:
    jobs, plans = run_to_end(tasks=3)
    prepare = plans[-1].stages[1]
    assert (prepare.counts, prepare.seconds, prepare.succeeded) == ({"read": 15}, 3.0, 3)
    without_pods = [replace(job, pods=()) if job.stage == "prepare" else job for job in jobs]
    assert plan(without_pods, status_after(plans[-1]), tasks=3).stages[1] == prepare


def test_a_sum_of_counts_stays_within_what_a_status_can_hold() -> None:
    pods = [succeeded_pod(rank, "job", counts={"read": LARGEST_INTEGER}) for rank in range(2)]
    status = stage_status(first_job(), complete_job("job", pods), None)
    assert status.counts == {"read": LARGEST_INTEGER}


def test_a_time_that_is_no_number_does_not_hide_what_the_other_tasks_have_done() -> None:
    pods = [
        succeeded_pod(0, seconds=math.nan, counts={"read": 3}),
        succeeded_pod(1, seconds=2.0, counts={"read": 4}),
    ]
    status = stage_status(first_job(), complete_job("job", pods), None)
    assert (status.counts, status.seconds) == ({"read": 7}, 2.0)
