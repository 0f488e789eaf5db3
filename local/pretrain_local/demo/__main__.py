"""`python -m pretrain_local.demo`: the quickstart from raw text to a trained model.

Without `$KUBECONFIG` it starts Kubernetes and the operator on this machine and ends both; with
it, it uses that cluster, its operator and its ComputeProfile, and starts nothing.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console

from pretrain_local.demo.packages import FetchError
from pretrain_local.demo.session import Demo, DemoFailed
from pretrain_local.errors import LocalError
from pretrain_local.kubectl import KubectlError
from pretrain_local.operator_process import OperatorEnded

ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run the demo; return 0 when a model was trained."""
    parser = argparse.ArgumentParser(prog="pretrain_local.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster and operator up")
    parser.add_argument("--down", action="store_true", help="end what --keep left up")
    parser.add_argument("--state", type=Path, default=ROOT / ".demo", help="folder for everything")
    parser.add_argument("--quickstart", type=Path, default=ROOT / "examples" / "quickstart")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds until it gives up")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    console = Console()
    demo = Demo(console, arguments.state.resolve(), arguments.quickstart.resolve())
    try:
        if arguments.down:
            demo.down()
            return 0
        return demo.run(os.environ.get("KUBECONFIG"), arguments.keep, arguments.timeout)
    except (LocalError, FetchError, KubectlError, OperatorEnded, DemoFailed) as error:
        console.print(str(error), style="red", highlight=False, markup=False)
    except KeyboardInterrupt:
        console.print("[yellow]interrupted; everything that was started has been ended[/]")
        return 130
    return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the demo; ignore further signals, so that the clean-up is complete."""
    for later in (signal.SIGINT, signal.SIGTERM):
        signal.signal(later, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
