"""`python -m pretrain_local.node`: the process node of a local cluster; `up` starts it."""

import argparse
import asyncio
import logging
import signal
import ssl
import sys
from pathlib import Path

from pretrain_local import procfs
from pretrain_local.files import ClusterFiles
from pretrain_local.node.agent import Agent
from pretrain_local.node.allocations import Allocator
from pretrain_local.node.api.client import NodeClient
from pretrain_local.node.context import NodeContext
from pretrain_local.node.runtime.sandbox import BUBBLEWRAP, PLAIN


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pretrain_local.node", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of the cluster")
    parser.add_argument("--name", required=True, help="name of the Node object")
    parser.add_argument("--sandbox", choices=(BUBBLEWRAP, PLAIN), required=True)
    return parser


async def _run(files: ClusterFiles, name: str, sandbox: str) -> None:
    state = files.read_state()
    if state is None:
        raise SystemExit(f"no cluster is up in {files.root}")
    state = state.model_copy(update={"node_name": name, "sandbox": sandbox})
    context = ssl.create_default_context(cafile=files.pki / "ca.crt")
    context.load_cert_chain(files.pki / "node.crt", files.pki / "node.key")
    client = NodeClient(state.server, context)
    allocator = Allocator(files.pods, state.block, state.resources.gpus)
    agent = asyncio.create_task(Agent(NodeContext(files, state, client, allocator)).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.cancel)
    loop.add_signal_handler(signal.SIGCHLD, procfs.reap_all)
    try:
        await agent
    except asyncio.CancelledError:
        pass


def main() -> int:
    """Run the node until a signal ends it."""
    options = _arguments().parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    asyncio.run(_run(ClusterFiles(options.state), options.name, options.sandbox))
    return 0


if __name__ == "__main__":
    sys.exit(main())
