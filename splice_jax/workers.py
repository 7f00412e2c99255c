"""Work divided over the cores: results in the order of the tasks, however many processes, in bounded memory."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class _Here(Executor):
    """An executor without processes: `submit` does the work."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def executor(processes: int | None) -> Executor:
    """Spawned processes, for JAX does not survive a fork; one per core where None is given, 0 for none.

    They end with this process, however it ends.
    """
    if processes is None:
        processes = os.cpu_count() or 1
    if processes == 0:
        return _Here()
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _depend_on_the_parent)


def _depend_on_the_parent() -> None:
    """Leaves interrupts to the parent, and ends when it does: a killed parent tells nobody that it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def in_order(
    workers: Executor, function: Callable[[Task], Result], tasks: Iterable[Task], *, ahead: int | None = None
) -> Iterator[Result]:
    """The results of tasks, in their order; at most `ahead` tasks wait or run at a time, two per core by default."""
    waiting: deque[Future[Result]] = deque()
    most = ahead or 2 * (os.cpu_count() or 1)
    for task in tasks:
        waiting.append(workers.submit(function, task))
        while len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
