"""A crew on a Ray cluster: actors, one to a core or GPU, wherever the cluster has room for one.

All nodes see inputs and outputs at the same paths, and have this package installed. An actor that dies, alone or with
its node, costs the image that it worked on one attempt; another is asked for, and works once the cluster has room.
Nothing but this module imports Ray.
"""

import json
import os
import re
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from splice_jax.bulk.crew import SECONDS, Crew
from splice_jax.bulk.tasks import Maker, Report, Task, encode
from splice_jax.errors import UserError, one_line

_PATIENCE = 600.0
"""Seconds to wait for any worker at all; clusters that grow need minutes."""


class Cluster(Crew["_Hired"]):
    """Actors, each with one core and one device of its own."""

    attempts = 4  # A node that is lost is not the image's fault, and looks the same from here.

    def __init__(
        self,
        maker: Maker,
        output: Path,
        *,
        address: str = "",
        workers: int = 0,
        gpus: int = 0,
        seconds: float = SECONDS,
    ) -> None:
        """Joins a cluster and asks it for actors.

        Args:
            maker: what they make.
            output: the folder of the results, the same on all nodes.
            address: of the cluster; "": the one that RAY_ADDRESS names or that runs on this machine, else a new one of
                this machine alone.
            workers: how many; 0: as many as the cluster has cores.
            gpus: how many, each with a GPU; 0: they have none.
            seconds: how long one may work on one image.

        Raises:
            UserError: there is no cluster at this address.
        """
        super().__init__(maker, output, seconds)
        self._joined = _join(address)
        number = gpus or workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(_Actor)
        self._workers += [self._hire() for _ in range(number)]

    def close(self) -> None:
        """Ends all workers at once, whatever they do."""
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()
        if self._joined:
            ray.shutdown()

    def _hear(self) -> Iterator[Report]:
        by_answer = {worker.answers[0]: worker for worker in self._workers if worker.answers}
        for ready in ray.wait(list(by_answer), timeout=1)[0]:
            self._heard = time.monotonic()
            yield from self._answered(by_answer[ready])
        if time.monotonic() - self._heard > _PATIENCE and not any(worker.loaded for worker in self._workers):
            raise UserError(f"--ray: the cluster had no room for a worker in {_PATIENCE:.0f} s; see ray status")

    def _answered(self, worker: "_Hired") -> Iterator[Report]:
        try:
            message = json.loads(ray.get(worker.answers[0]))
        except RayTaskError as error:
            raise UserError(f"a mistake of this program in a worker: {one_line(error.cause or error)}") from error
        except RayError as error:
            self._end(worker)  # It may only have been out of reach.
            yield from self._lost(worker, f"a worker or node of the cluster was lost: {one_line(error)[:300]}")
        else:
            worker.answers.popleft()
            yield from self._told(worker, message)

    def _hire(self) -> "_Hired":
        self._heard = time.monotonic()  # Patience begins anew: the one before it may have hung for longer.
        actor = self._remote.remote()
        return _Hired(actor, actor.load.remote(*self._spec))

    def _has_spoken(self, worker: "_Hired") -> bool:
        return bool(ray.wait([worker.answers[0]], timeout=0)[0])

    def _end(self, worker: "_Hired") -> None:
        ray.kill(worker.actor)

    def _instead_of(self, worker: "_Hired") -> "_Hired":
        return self._hire()

    def _hopeless(self, worker: "_Hired", death: str) -> str:
        return f"--ray: workers die one after the other ({death}); see the logs of Ray"


class _Actor:
    """What runs on the cluster."""

    def load(self, maker: bytes, output: str) -> bytes:
        from splice_jax.bulk import worker

        worker.prepare(os.environ.get("CUDA_VISIBLE_DEVICES", "") if ray.get_gpu_ids() else "")
        try:
            self._worker = worker.Worker(maker, output)
        except UserError as error:
            return json.dumps({"unable": one_line(error)}).encode()
        return b'{"loaded": true}'

    def answer(self, task: bytes) -> bytes:
        try:
            return encode(self._worker.answer(Task(**json.loads(task))))
        except UserError as error:
            return json.dumps({"unable": one_line(error)}).encode()


class _Hired:
    """An actor, what it was asked, and the answers that it owes: first whether it has loaded the maker."""

    def __init__(self, actor: Any, loading: Any) -> None:
        self.actor = actor
        self.answers = deque([loading])
        self.tasks: deque[Task] = deque()
        self.loaded = False
        self.since = 0.0

    def give(self, task: Task) -> None:
        self.tasks.append(task)
        self.answers.append(self.actor.answer.remote(encode(task)))


def _join(address: str) -> bool:
    """Joins a cluster, unless this process has; returns whether it did. Ray sends no statistics of use anywhere."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ours = signal.getsignal(signal.SIGTERM)
    try:
        if there := re.fullmatch(r"([^:/]+):(\d+)", address):
            socket.create_connection((there[1], int(there[2])), 10).close()  # Ray itself would try for minutes.
        ray.init(address=address or None, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        where = address or "this machine"
        raise UserError(f"--ray: no cluster at {where} ({one_line(error)[:300]}); start one by ray start") from error
    finally:
        signal.signal(signal.SIGTERM, ours)  # Ray's own would exit with another code.
    return True
