"""`python -m pretrain_workloads.reader file|audit`: print it to the log of the pod."""

import logging
import sys

from pretrain_api.reports import ExitReport
from pretrain_api.runs import READINGS, AuditRun, FileRun
from pretrain_workloads.reader.output import print_text
from pretrain_workloads.task import load_run, run_stage_program


def run_reading(what: str) -> ExitReport:
    """Print what is asked for; each reading imports only what it needs."""
    if what == "file":
        from pretrain_workloads.reader.file import read_file

        return print_text(read_file(load_run(FileRun)))
    from pretrain_workloads.reader.audit import audit

    return print_text(audit(load_run(AuditRun)).model_dump_json(by_alias=True))


if __name__ == "__main__":
    # Kubernetes has one log for both streams: nothing else may be written to it.
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)
    run_stage_program("pretrain_workloads.reader", READINGS, run_reading)
