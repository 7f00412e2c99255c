"""Work divided over the cores: results in input order for any number of processes, in bounded memory."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

from splice_jax.errors import UserError

Given = TypeVar("Given")
Result = TypeVar("Result")


class _Processes(ProcessPoolExecutor):
    """Processes that end at once when an exception ends their work: what they have not finished, nobody wants."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with signals_held_back():  # The first call starts the processes.
            return super().submit(function, *args, **kwargs)

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        if kind is not None:
            for process in list((self._processes or {}).values()):
                process.kill()
        self.shutdown(wait=True, cancel_futures=kind is not None)


class _Here(Executor):
    """An executor without processes: `submit` does the work itself."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor(processes: int | None) -> Executor:
    """Spawned processes, since JAX does not survive a fork; None for one per core, 0 for none.

    They end when this process does, however it ends.
    """
    if processes is None:
        processes = cores()
    if processes == 0:
        return _Here()
    return _Processes(processes, multiprocessing.get_context("spawn"), depend_on_the_parent)


def depend_on_the_parent() -> None:
    """Leaves interrupts to the parent and ends when it does, since a killed parent cannot notify anyone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Processes started within never see Ctrl-C and SIGTERM, not even while they start; their parent does afterwards.

    What those signals end is the parent's to decide.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def in_order(
    workers: Executor, function: Callable[[Given], Result], given: Iterable[Given], *, ahead: int | None = None
) -> Iterator[Result]:
    """The results of a function in the order of its arguments, each as soon as it and all before it are ready.

    Args:
      workers: the executor that calls it.
      function: the function.
      given: its arguments; at most `ahead` of them are waiting, in progress or finished but not yet taken.
      ahead: two per core by default.

    Raises:
      UserError: a process died, or as the function.
    """
    waiting: deque[Future[Result]] = deque()
    most = ahead or 2 * cores()
    try:
        for each in given:
            waiting.append(workers.submit(function, each))
            while waiting and (len(waiting) >= most or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise UserError(
            "a worker process was ended from outside, most likely because memory ran out; free some and start again"
        ) from error


def reading_ahead(read: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """What is read, in order; a thread reads one item ahead while the current one is processed."""
    following: Future[Result] | None = None
    with ThreadPoolExecutor(1) as thread:
        for each in given:
            current, following = following, thread.submit(read, each)
            if current is not None:
                yield current.result()
        if following is not None:
            yield following.result()
