"""`python -m pretrain_local.node`: the process node of a local cluster; `up` starts it."""

import argparse
import asyncio
import logging
import signal
import ssl
import sys
from pathlib import Path

from pretrain_local import procfs
from pretrain_local.node.agent import Agent
from pretrain_local.node.allocations import Registry
from pretrain_local.node.api.client import Client
from pretrain_local.node.context import NodeContext
from pretrain_local.node.runtime.sandbox import BUBBLEWRAP, PLAIN
from pretrain_local.state import Layout


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pretrain_local.node", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of the cluster")
    parser.add_argument("--name", required=True, help="name of the Node object")
    parser.add_argument("--sandbox", choices=(BUBBLEWRAP, PLAIN), required=True)
    return parser


async def _run(layout: Layout, name: str, sandbox: str) -> None:
    state = layout.read()
    if state is None:
        raise SystemExit(f"no cluster is up in {layout.root}")
    state = state.model_copy(update={"node_name": name, "sandbox": sandbox})
    context = ssl.create_default_context(cafile=layout.pki / "ca.crt")
    context.load_cert_chain(layout.pki / "node.crt", layout.pki / "node.key")
    client = Client(state.server, context)
    registry = Registry(layout.pods, state.block, state.resources.gpus)
    agent = asyncio.create_task(Agent(NodeContext(layout, state, client, registry)).run())
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
    asyncio.run(_run(Layout(options.state), options.name, options.sandbox))
    return 0


if __name__ == "__main__":
    sys.exit(main())
