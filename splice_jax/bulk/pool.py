"""A crew of processes on this machine. One that dies costs its image one attempt, and another takes its place."""

import contextlib
import json
import multiprocessing
import os
import pickle
from collections import deque
from multiprocessing import connection
from pathlib import Path
from typing import Any

from splice_jax.bulk.tasks import Answer, Maker, Report, Task, encode, most_deaths
from splice_jax.errors import UserError, one_line
from splice_jax.workers import cores, depend_on_the_parent, signals_held_back

_AT_ONCE = 2
"""Tasks that a worker has: one that it works on, and the next, so that it need not wait."""


class Pool:
    """Processes, each with one core and one device of its own."""

    attempts = 2

    def __init__(self, maker: Maker, output: Path, *, workers: int = 0, gpus: int = 0) -> None:
        """Starts them.

        Args:
            maker: what they make.
            output: the folder of the results.
            workers: how many; 0: one per core, or per GPU.
            gpus: each has one of so many; 0: none has any.
        """
        self._spec = (pickle.dumps(maker), str(output))
        devices = [str(number) for number in range(gpus)] if gpus else [""] * (workers or cores())
        if gpus and (visible := os.environ.get("CUDA_VISIBLE_DEVICES")):
            devices = visible.split(",")[:gpus]
        self._backlog: deque[Task] = deque()
        self._deaths = 0
        self._workers: list[_Process] = []
        for device in devices:
            self._workers.append(_Process(self._spec, device))

    def has_room(self) -> bool:
        return not self._backlog and any(len(worker.tasks) < _AT_ONCE for worker in self._workers)

    def send(self, task: Task) -> None:
        self._backlog.append(task)
        self._hand_out()

    def receive(self) -> Report:
        while True:
            self._hand_out()
            by_pipe = {worker.pipe: worker for worker in self._workers}
            for ready in connection.wait(list(by_pipe)):
                worker = by_pipe[ready]  # type: ignore[index]
                if report := self._hear(worker):
                    return report

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.bury()
        self._workers.clear()

    def _hand_out(self) -> None:
        while self._backlog:
            idlest = min(self._workers, key=lambda worker: len(worker.tasks))
            if len(idlest.tasks) >= _AT_ONCE:
                return
            idlest.give(self._backlog.popleft())

    def _hear(self, worker: "_Process") -> Report | None:
        try:
            message: dict[str, Any] = json.loads(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            return self._replace(worker)
        if reason := message.get("unable"):
            raise UserError(reason)
        if message.get("loaded"):
            worker.loaded = True
            return None
        self._deaths = 0
        return Report(worker.tasks.popleft(), Answer(**message))

    def _replace(self, worker: "_Process") -> Report | None:
        """Starts another for one that died; the task that it worked on is reported, the next is handed out again."""
        self._workers.remove(worker)
        death = worker.bury()
        self._deaths += 1
        if self._deaths >= most_deaths(len(self._workers) + 1):
            at = "whatever image they work on" if worker.loaded else "while they start"
            raise UserError(f"workers die {at} ({death}), most likely for lack of memory; give fewer by --workers")
        victim = worker.tasks.popleft() if worker.loaded and worker.tasks else None
        self._backlog.extendleft(reversed(worker.tasks))
        self._workers.append(_Process(self._spec, worker.gpu))
        return Report(victim, None, death) if victim else None


class _Process:
    """One worker and the tasks that it has."""

    def __init__(self, spec: tuple[bytes, str], gpu: str) -> None:
        spawn = multiprocessing.get_context("spawn")  # JAX does not survive a fork.
        self.tasks: deque[Task] = deque()
        self.loaded = False
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
