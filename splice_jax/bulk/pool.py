"""A crew of processes on this machine."""

import contextlib
import json
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any

from splice_jax.bulk.crew import SECONDS, Crew
from splice_jax.bulk.tasks import Maker, Report, Task, encode
from splice_jax.errors import UserError, one_line
from splice_jax.workers import cores, depend_on_the_parent, signals_held_back


class Pool(Crew["_Process"]):
    """Processes, each with one core and one device of its own."""

    attempts = 2

    def __init__(
        self, maker: Maker, output: Path, *, workers: int = 0, gpus: int = 0, seconds: float = SECONDS
    ) -> None:
        """Starts them.

        Args:
            maker: what they make.
            output: the folder of the results.
            workers: how many; 0: one per core, or per GPU.
            gpus: each has one of so many; 0: none has any.
            seconds: how long a worker may work on one image.
        """
        super().__init__(maker, output, seconds)
        devices = [str(number) for number in range(gpus)] if gpus else [""] * (workers or cores())
        if gpus and (visible := os.environ.get("CUDA_VISIBLE_DEVICES")):
            devices = visible.split(",")[:gpus]
        for device in devices:
            self._workers.append(_Process(self._spec, device))

    def close(self) -> None:
        """Ends all workers at once, whatever they do."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.bury()
        self._workers.clear()

    def _hear(self) -> Iterator[Report]:
        by_pipe: dict[Any, _Process] = {worker.pipe: worker for worker in self._workers}
        for ready in connection.wait(list(by_pipe), 1):
            worker = by_pipe[ready]
            try:
                message = json.loads(worker.pipe.recv_bytes())
            except (EOFError, OSError):
                yield from self._lost(worker, worker.bury())
            else:
                yield from self._told(worker, message)

    def _has_spoken(self, worker: "_Process") -> bool:
        return worker.pipe.poll()

    def _end(self, worker: "_Process") -> None:
        worker.kill()
        worker.bury()

    def _instead_of(self, worker: "_Process") -> "_Process":
        return _Process(self._spec, worker.gpu)

    def _hopeless(self, worker: "_Process", death: str) -> str:
        at = "whatever image they work on" if worker.loaded else "while they start"
        return f"workers die {at} ({death}), most likely for lack of memory; give fewer by --workers"


class _Process:
    """One worker and the tasks that it has."""

    def __init__(self, spec: tuple[bytes, str], gpu: str) -> None:
        spawn = multiprocessing.get_context("spawn")  # JAX does not survive a fork.
        self.tasks: deque[Task] = deque()
        self.loaded = False
        self.since = 0.0
        self.gpu = gpu
        self.pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, *spec, gpu), daemon=True)
        with signals_held_back():
            self._process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        self.tasks.append(task)
        with contextlib.suppress(OSError):  # It is dead, which `receive` will notice.
            self.pipe.send_bytes(encode(task))

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def bury(self) -> str:
        """Waits for the end of one that ends, and says how it did."""
        self.pipe.close()
        self._process.join(1)
        self._process.kill()  # It only closed its pipe.
        self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _serve(pipe: connection.Connection, maker: bytes, output: str, gpu: str) -> None:
    depend_on_the_parent()
    from splice_jax.bulk import worker  # Here, so that the parent needs no memory for what it imports.

    try:
        worker.prepare(gpu)
        at_work = worker.Worker(maker, output)
        pipe.send_bytes(b'{"loaded": true}')
        while True:
            task = Task(**json.loads(pipe.recv_bytes()))
            pipe.send_bytes(encode(at_work.answer(task)))
    except (EOFError, BrokenPipeError):
        return
    except UserError as error:
        pipe.send_bytes(json.dumps({"unable": one_line(error)}).encode())
