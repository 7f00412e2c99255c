"""What becomes of one mutant, within limits of time and memory."""

import contextlib
import resource
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np

from benchmarks.fuzzing.mutants import mutant
from benchmarks.fuzzing.reader import Reader
from splice_jax.errors import UserError, one_line

SECONDS, WAITING, MEMORY = 5.0, 60.0, 2**30
"""What one file may take: of the processor, of the clock on a machine that does other things too, and of memory beside
what the process has already."""
MOST_SAID = 2100
"""Characters of an error; more fill a screen."""


class Outcome(NamedTuple):
    """What became of a mutant."""

    kind: str
    """read, refused, or a finding: hang, "out of memory", "refused badly", or an exception's name."""
    past: bool
    """See `Reader.past`."""
    said: str
    """The refusal or the error."""


class _Hangs(BaseException):
    """Not an `Exception`: readers catch these."""


class Trial:
    """A reader in a folder of its own, and the valid files that its mutants are made from."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        """Makes the valid files, and checks that they are read."""
        self.reader, self.folder = reader, folder
        self.files: Mapping[str, bytes] = reader.files(folder)
        for name, content in self.files.items():
            self._place(name, content)
        for name in self.files:
            reader.read(folder / name)

    def mutant(self, seed: int) -> tuple[str, bytes]:
        """The name of a file and what it is replaced by."""
        rng = np.random.default_rng(seed)
        name = [*self.files][rng.integers(len(self.files))]
        return name, mutant(self.files[name], [*self.files.values()], rng)

    def outcome(self, name: str, content: bytes) -> Outcome:
        """Reads a mutant in place of the valid file, which is put back."""
        past = self.reader.past(content)
        self._place(name, content)
        try:
            kind, said = _attempt(self.reader, self.folder / name)
        finally:
            self._place(name, self.files[name])
        return Outcome(kind, past, said)

    def _place(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _attempt(reader: Reader, path: Path) -> tuple[str, str]:
    start, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with _limited():
            reader.read(path)
        kind, said = "read", ""
    except _Hangs:
        return "hang", f"over {SECONDS} s of the processor, or {WAITING} s"
    except UserError as error:
        said = str(error)
        kind = "refused" if 20 < len(one_line(error)) < MOST_SAID else "refused badly"
    except MemoryError:
        return "out of memory", ""
    except Exception as error:
        return type(error).__name__, one_line(error)
    if time.process_time() - start > SECONDS:
        return "hang", said
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
    return ("out of memory", said) if grown > MEMORY else (kind, said)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raises `_Hangs` after `SECONDS` or `WAITING`; compiled code has to come back first."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Hangs

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, SECONDS), (signal.SIGALRM, signal.ITIMER_REAL, WAITING))
    before = [signal.signal(number, stop) for number, _, _ in timers]
    try:
        for _, timer, seconds in timers:
            signal.setitimer(timer, seconds)
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
