"""Examples on their way into a TFDS data set, in order, on disk.

TFDS gathers the examples of a split before it writes them: to shuffle them by key, and because the number of files
follows from their size. Over a gigabyte it does that through TensorFlow. Here nothing is shuffled, so that one file
that is written and read once will do, and a data set may be larger than the memory.
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tensorflow_datasets.core import shuffle


class Spool:
    """In place of `tensorflow_datasets.core.shuffle.Shuffler`, for examples whose keys are whole numbers, ascending."""

    def __init__(self, dirpath: Any, hash_salt: Any, disable_shuffling: bool, ignore_duplicates: bool = False) -> None:
        if not disable_shuffling or ignore_duplicates:
            raise ValueError("examples are kept as they come: neither shuffled nor compared")
        self._path = Path(dirpath) / f"examples_{uuid.uuid4()}.tmp"
        self._lengths: list[tuple[int, int]] = []
        self.size = 0

    @property
    def num_examples(self) -> int:
        """How many examples were added."""
        return len(self._lengths)

    @property
    def bucket_lengths(self) -> list[int]:
        """The same, by temporary file."""
        return [self.num_examples]

    def add(self, key: int, data: bytes) -> None:
        """Adds the serialized example `data`."""
        if self._lengths and key <= self._lengths[-1][0]:
            raise ValueError(f"key {key} does not come after key {self._lengths[-1][0]}")
        with open(self._path, "ab") as file:
            file.write(data)
        self._lengths.append((key, len(data)))
        self.size += len(data)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The examples with their keys; the file is gone after the last."""
        with open(self._path, "rb") as file:
            for key, length in self._lengths:
                yield key, file.read(length)
        self._path.unlink()


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """TFDS gathers examples in a `Spool`."""
    with mock.patch.object(shuffle, "Shuffler", Spool):
        yield
