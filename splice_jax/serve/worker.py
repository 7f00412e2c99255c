"""One process that examines photographs: what it decodes cannot take the server along, and it can be ended in time."""

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from splice_jax.errors import UserError
from splice_jax.serve.limits import Limits
from splice_jax.workers import depend_on_the_parent

if TYPE_CHECKING:
    from splice_jax.examination.rows import Rows

_LOADING = 300.0
"""Seconds that loading the rows may take."""
_MOST_BYTES = 256 * 10**6
"""No page is as long; the process sends nothing longer."""
_ENDED = "its examination ended before it was done, most likely because memory ran out; try a smaller photograph"


class Results(NamedTuple):
    """What came out for one photograph."""

    headline: str
    level: str
    """See `Verdict`."""
    page: bytes
    document: bytes


class Worker:
    """The process, started anew after it ended or was ended; `stop` may be called from any thread."""

    def __init__(self, load: Callable[[], "Rows"], limits: Limits) -> None:
        """Only remembers its arguments.

        Args:
            load: gives the rows, in the process; it can be pickled.
            limits: see `Limits`.
        """
        self.rows: list[str] = []
        """The names of all rows, once it has started."""
        self._load, self._limits = load, limits
        self._lock, self._stopped = threading.Lock(), False
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Starts the process and waits until it has loaded its rows; does nothing if it runs.

        Raises:
            UserError: the rows cannot be loaded, or the process ended meanwhile.
        """
        if self._process is not None and self._process.is_alive():
            return
        self._end()
        with self._lock:
            if self._stopped:
                raise UserError(_ENDED)
            spawn = multiprocessing.get_context("spawn")  # JAX does not survive a fork.
            self._pipe, theirs = spawn.Pipe()
            self._process = spawn.Process(target=_answer, args=(theirs, self._load, self._limits), daemon=True)
            self._process.start()
            theirs.close()
        try:
            message = self._next(time.monotonic() + _LOADING)
        except TimeoutError:
            self._end()
            raise UserError(f"the rows were not loaded within {_LOADING:.0f} seconds") from None
        if message["kind"] == "failed":
            raise UserError(message["reason"])
        self.rows = message["rows"]

    def examine(self, name: str, encoded: bytes, progress: Callable[[dict[str, Any]], None]) -> Results:
        """Examines one photograph.

        Args:
            name: what its page calls it.
            encoded: the file.
            progress: called with what each row found, see `child.row_message`.

        Raises:
            UserError: it cannot be examined, took too long, or the process ended.
        """
        self.start()
        deadline = time.monotonic() + self._limits.seconds
        try:
            self._send(name.encode(), encoded)
            while (message := self._next(deadline))["kind"] == "row":
                progress({name: value for name, value in message.items() if name != "kind"})
            if message["kind"] == "failed":
                raise UserError(message["reason"])
            return Results(message["headline"], message["level"], self._bytes(deadline), self._bytes(deadline))
        except TimeoutError:
            self._end()
            raise UserError(f"not examined within {self._limits.seconds} seconds; try a smaller photograph") from None

    def stop(self) -> None:
        """Ends the process for good; an examination in progress fails."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _send(self, *contents: bytes) -> None:
        assert self._pipe is not None
        try:
            for content in contents:
                self._pipe.send_bytes(content)
        except OSError as error:
            raise UserError(_ENDED) from error

    def _next(self, deadline: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._bytes(deadline))
        return message

    def _bytes(self, deadline: float) -> bytes:
        """What the process sends next; TimeoutError where it sends nothing in time."""
        assert self._pipe is not None
        try:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            return self._pipe.recv_bytes(_MOST_BYTES)
        except TimeoutError:
            raise
        except (EOFError, OSError) as error:
            raise UserError(_ENDED) from error

    def _end(self) -> None:
        """Ends the process; the next photograph starts another."""
        with self._lock:
            if self._process is not None and self._pipe is not None:
                self._process.kill()
                self._process.join()
                self._process.close()
                self._pipe.close()
                self._process = self._pipe = None


def _answer(pipe: Connection, load: Callable[[], "Rows"], limits: Limits) -> None:
    depend_on_the_parent()
    from splice_jax.serve.child import answer  # Here, so that only this process needs the memory for it.

    answer(pipe, load, limits)
