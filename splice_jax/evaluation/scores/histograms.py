"""Two histograms of every image of a row, for the interval of its pooled AUC, in an unnamed file.

In memory they would need ten times as much as all else that is kept of an image.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Int32

from splice_jax.errors import one_line
from splice_jax.evaluation.scores.image import BINS
from splice_jax.files import Unwritable, writable_folder

Histograms = Int32[np.ndarray, f"images 2 {BINS}"]
"""See `image.survey`."""


class OnDisk:
    """Histograms that are added to a file one after another."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        """Starts at the beginning of a file, which lies in `folder`."""
        self._file, self._folder, self._images = file, folder, 0

    def add(self, histograms: Histograms) -> None:
        """Writes those of further images.

        Raises:
          Unwritable: there is no room for them.
        """
        self._images += len(histograms)
        try:
            self._file.write(histograms.tobytes())
            self._file.flush()
        except OSError as error:
            raise Unwritable(f"{self._folder}: cannot be written to ({one_line(error)}); free the disk") from error

    def mapped(self) -> Histograms:
        """All of them, read where they are used, also after the file has been closed."""
        if not self._images:
            return np.empty((0, 2, BINS), np.int32)
        return np.memmap(self._file, np.int32, "r", shape=(self._images, 2, BINS))


@contextmanager
def on_disk(folder: Path) -> Iterator[OnDisk]:
    """No histograms yet; the system frees their file when nobody needs it any more, however the program ends.

    Raises:
      Unwritable: the folder cannot be written to.
    """
    with tempfile.TemporaryFile(dir=writable_folder(folder)) as file:
        yield OnDisk(file, folder)
