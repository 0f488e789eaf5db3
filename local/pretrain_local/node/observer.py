"""Observes the containers of one pod: their attempts on disk, and when they exit."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pretrain_local.node.api.pods import Pod
from pretrain_local.node.runtime import attempts
from pretrain_local.node.runtime.attempts import Attempt, ObservedAttempts
from pretrain_local.node.runtime.exit_watch import ExitWatch
from pretrain_local.node.runtime.termination import termination_message


class PodObserver:
    """Reads the attempts below a pod's `folder`; calls `on_exit` when a running one ends."""

    def __init__(self, folder: Path, on_exit: Callable[[], None]) -> None:
        self._folder = folder
        self._exits = ExitWatch(on_exit)

    async def observe(self, pod: Pod) -> ObservedAttempts:
        """Return the attempts of the pod's containers; kill what lost its supervisor."""
        containers = [*pod.spec.init_containers, *pod.spec.containers]
        for container in containers:
            if attempts.has_lost_supervisor(self._folder, container.name):
                # Killing may take seconds; meanwhile other pods must be observed.
                await asyncio.to_thread(attempts.latest_attempt, self._folder, container.name)
        latest: dict[str, Attempt | None] = {}
        previous, messages = {}, {}
        for container in containers:
            attempt = attempts.latest_attempt(self._folder, container.name)
            latest[container.name] = attempt
            if attempt is None:
                continue
            if attempt.exit is None:
                self._exits.add(attempt.folder)
            else:
                messages[container.name] = termination_message(container, attempt)
            numbers = attempts.attempt_numbers(self._folder, container.name)
            if len(numbers) > 1:
                folder = attempts.attempt_folder(self._folder, container.name, numbers[-2])
                previous[container.name] = attempts.read_attempt(folder)
        return ObservedAttempts(latest, previous, messages)
