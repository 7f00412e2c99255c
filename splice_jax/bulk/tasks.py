"""What passes between a job and its workers, whether these are processes of this machine or of a cluster.

All of it travels as JSON: unpickling what a process sends that decodes strangers' files would run its code.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

DONE, FAILED, SKIPPED, UNCHANGED = "done", "failed", "skipped", "unchanged"
"""How an image ends. Skipped: the row can say nothing about it. Unchanged: it was finished before; never recorded."""


class Task(NamedTuple):
    """One image to be made something of."""

    image: str
    """Absolute path; bytes that are no UTF-8 are surrogates."""
    stem: str
    """What its results' names start with: a path below the output folder."""
    finished: str = ""
    """SHA-256 of the content that it was finished with, if it was: the same content is not worked on again."""


class Answer(NamedTuple):
    """What became of a task: a line of the manifest, but for the task's own fields."""

    status: str
    reason: str = ""
    sha256: str = ""
    """Of the file; "" if it could not be read, or its worker died."""
    bytes: int | None = None
    mtime_ns: int | None = None
    found: Mapping[str, Mapping[str, Any]] = {}
    """By row."""
    seconds: float | None = None


class Made(NamedTuple):
    """What a maker says of one image whose results it has written."""

    status: str
    """`DONE` or `SKIPPED`."""
    reason: str = ""
    """Why it was skipped, or a warning about the file."""
    found: Mapping[str, Mapping[str, Any]] = {}
    """By row, for example `score`, `alarm` and `marked_share`."""


Make = Callable[[bytes, str, Path], Made]
"""From a file's content, its path and the path that its results' names start with; raises UserError if it cannot be."""


class Maker(Protocol):
    """What a job makes of every image; pickled to get to the workers."""

    def describe(self) -> Mapping[str, Any]:
        """What its results depend on, as JSON: a job is only resumed with the same."""
        ...

    def load(self) -> Make:
        """Called once in each worker. Raises UserError if there is no such model."""
        ...


class Report(NamedTuple):
    """What a crew says of one task."""

    task: Task
    answer: Answer | None
    """None if its worker died."""
    death: str = ""
    """How it did."""
    final: bool = False
    """Whether the image fails of that, without another attempt."""


def encode(value: Task | Answer) -> bytes:
    """JSON in ASCII, on one line; surrogates stay what they are."""
    return json.dumps(value._asdict(), allow_nan=False).encode("ascii")
