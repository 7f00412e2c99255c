"""Workers of any kind: tasks are handed out; one that dies or hangs is replaced.

Dying costs the image that it worked on one attempt, hanging costs all of them: that would only take as long again.
"""

import itertools
import pickle
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from splice_jax.bulk.tasks import Answer, Maker, Report, Task
from splice_jax.errors import UserError

AT_ONCE = 2
"""Tasks that a worker has: one that it works on, and the next, so that it need not wait."""
SECONDS = 3600
"""For one image, unless another limit is given. All rows take 56 s on two cores for 12 megapixels; 100 may be read."""


class Worker(Protocol):
    """One worker, as its crew sees it."""

    tasks: deque[Task]
    loaded: bool
    """Whether it has loaded the maker: until then it has no tasks."""
    since: float
    """When it began to work on the first of its tasks, by `time.monotonic`."""

    def give(self, task: Task) -> None:
        """Adds to its tasks."""
        ...


Kind = TypeVar("Kind", bound=Worker)


class Crew(ABC, Generic[Kind]):
    """See `pool` and `cluster`."""

    attempts: int
    """How many workers may die of an image before it counts as failed."""

    def __init__(self, maker: Maker, output: Path, seconds: float) -> None:
        """Without workers yet.

        Args:
            maker: what they make.
            output: the folder of the results.
            seconds: how long a worker may work on one image.
        """
        self._seconds = seconds
        self._spec = (pickle.dumps(maker), str(output))
        self._backlog: deque[Task] = deque()
        self._workers: list[Kind] = []
        self._deaths = 0

    def has_room(self) -> bool:
        """Whether a task sent now would not have to wait long; the number of tasks under way is bounded by this."""
        return len(self._backlog) < len(self._workers)

    def send(self, task: Task) -> None:
        """Hands over a task, at once."""
        self._backlog.append(task)
        self._hand_out()

    def receive(self) -> Report:
        """Waits for any task that was sent. Raises UserError if the workers cannot work at all."""
        while True:
            self._hand_out()
            for report in itertools.chain(self._overdue(), self._hear()):
                return report

    @abstractmethod
    def close(self) -> None:
        """Ends all workers at once, whatever they do."""

    @abstractmethod
    def _hear(self) -> Iterator[Report]:
        """Waits up to a second, possibly in vain, for what workers say, and gives what it is."""

    @abstractmethod
    def _has_spoken(self, worker: Kind) -> bool:
        """Whether there is something of it to hear."""

    @abstractmethod
    def _end(self, worker: Kind) -> None:
        """Ends a worker at once, whatever it does."""

    @abstractmethod
    def _instead_of(self, worker: Kind) -> Kind:
        """Another worker for one that died."""

    @abstractmethod
    def _hopeless(self, worker: Kind, death: str) -> str:
        """What the user is told when workers die one after the other."""

    def _hand_out(self) -> None:
        while self._backlog:
            idle = [worker for worker in self._workers if worker.loaded and len(worker.tasks) < AT_ONCE]
            if not idle:
                return
            worker = min(idle, key=lambda each: len(each.tasks))
            if not worker.tasks:
                worker.since = time.monotonic()
            worker.give(self._backlog.popleft())

    def _told(self, worker: Kind, message: Mapping[str, Any]) -> Iterator[Report]:
        """What a worker's message means: it cannot work, it has loaded the maker, or a task's answer."""
        if reason := message.get("unable"):
            raise UserError(reason)
        if message.get("loaded"):
            worker.loaded = True
            return
        self._deaths = 0
        worker.since = time.monotonic()
        yield Report(worker.tasks.popleft(), Answer(**message))

    def _overdue(self) -> Iterator[Report]:
        """Ends and replaces workers that have worked on one image for too long."""
        late = time.monotonic() - self._seconds
        for worker in [each for each in self._workers if each.tasks and each.since < late]:
            if not self._has_spoken(worker):
                self._end(worker)
                reason = f"was not done after {self._seconds:g} s; give more by --seconds-per-image and --retry-failed"
                yield from self._replace(worker, reason, final=True)

    def _lost(self, worker: Kind, death: str) -> Iterator[Report]:
        """Replaces one that died.

        As many deaths in a row, with nothing done in between, are the machine's fault and not an image's.
        """
        most = max(10, 3 * len(self._workers))
        self._deaths += 1
        if self._deaths >= most:
            self._workers.remove(worker)  # `close` ends those that live.
            raise UserError(self._hopeless(worker, death))
        yield from self._replace(worker, death)

    def _replace(self, worker: Kind, death: str, *, final: bool = False) -> Iterator[Report]:
        """Puts another in its place; the task that it worked on is reported, the next is handed out again."""
        self._workers.remove(worker)
        self._workers.append(self._instead_of(worker))
        victim = worker.tasks.popleft() if worker.tasks else None
        self._backlog.extendleft(reversed(worker.tasks))
        if victim:
            yield Report(victim, None, death, final)
