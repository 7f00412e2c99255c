"""What a bulk job says while it runs, and at its end."""

import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from splice_jax.bulk.tasks import DONE, FAILED, SKIPPED
from splice_jax.errors import shown

EVERY = 60.0
"""Seconds between lines where stderr is no terminal."""


class Progress:
    """Names images that fail or are skipped, and counts all; a bar on a terminal, otherwise a line every minute."""

    def __init__(self, manifest: Path) -> None:
        """Only remembers where the manifest is, for the last line."""
        self.counts: Counter[str] = Counter()
        """Images by status."""
        self._manifest = manifest
        self._before = 0
        self._started = self._told = time.monotonic()
        self._bar = tqdm(unit="image", disable=not sys.stderr.isatty())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.close()
        if kind is None:
            print(f"{self._line()}; {shown(self._manifest)} says what became of each", flush=True)

    def tell(self, image: str, status: str, reason: str, *, before: bool = False) -> None:
        """An image is finished, or was before this call."""
        self.counts[status] += 1
        self._before += before
        self._bar.update()
        if status == FAILED:
            tqdm.write(f"error: {shown(image)}: {shown(reason)}", file=sys.stderr)
        elif status == SKIPPED:
            tqdm.write(f"skipped: {shown(image)}: {shown(reason)}", file=sys.stderr)
        now = time.monotonic()
        if self._bar.disable and now - self._told >= EVERY:
            self._told = now
            print(self._line(), flush=True)

    def _line(self) -> str:
        counts, here = self.counts, self.counts.total() - self._before
        said = f"{counts[DONE]:,} done, {counts[FAILED]:,} failed, {counts[SKIPPED]:,} skipped"
        if self._before:
            said += f", {self._before:,} of them before"
        rate = here / max(time.monotonic() - self._started, 1e-9)
        return f"{said}; {rate:.3g} images/s" if here else said
