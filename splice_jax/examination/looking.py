"""What the rows find in a photograph: each looks once, and says what makes it say less."""

import dataclasses
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from splice_jax.errors import UserError, one_line, out_of_memory
from splice_jax.examination.authentic import Authentic, compare
from splice_jax.examination.evidence import Area, NoEvidence
from splice_jax.examination.rows import Rows, looks_for
from splice_jax.methods.localizer import Found, Localizer, Undefined

FLAT_MAP = "it found none of its traces: the map is the same everywhere"
LITTLE_EVIDENCE = 0.1
"""With less of the photograph left to judge, a row's map is called doubtful."""
EARLY = "cfa2"
"""Looks before all others: 12 megapixels cost it 1.3 s of a core (`noi1`: 4 s), and whoever waits sees that something
happens."""
THREADS = 2
"""Rows that look at the same time; NumPy and Pillow compute side by side, and each row needs memory of its own."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """What rows look at, and what is known before they do."""

    encoded: bytes
    image: UInt8[np.ndarray, "height width 3"]
    """Upright."""
    no_evidence: NoEvidence
    past: frozenset[str]
    """Of `methods.localizer.PASTS`."""


@dataclass(eq=False)
class RowResult:
    """What one row found in a photograph, or why it says nothing."""

    name: str
    looks_for: str
    found: Found | None = None
    """None where the row is undefined for this photograph or failed."""
    undefined: str = ""
    """Why; empty where there is a map."""
    cautions: list[str] = field(default_factory=list)
    """What makes this row say less about this photograph."""
    no_evidence: dict[str, Area] = field(default_factory=dict)
    """Areas that it can say nothing about, by reason; see `NoEvidence.for_row`."""
    authentic: Authentic | None = None
    """How the map compares with those of authentic photographs; None for rows that were not measured."""
    silent: bool = False
    """Whether the map is the same everywhere, so that there is nothing to see in it."""
    seconds: float = 0.0

    @property
    def stands_out(self) -> bool:
        """Whether few authentic photographs look like this to the row; False for rows that were not measured."""
        return self.authentic is not None and self.authentic.rare and not self.silent

    def areas_without_evidence(self) -> Area:
        """All areas about which it can say nothing.

        Raises:
            ValueError: the row has no map, or it was not kept.
        """
        if not self.no_evidence:
            raise ValueError(f"row {self.name} has no map")
        areas: Area = np.logical_or.reduce(list(self.no_evidence.values()))
        return areas


def look_all(
    photograph: Photograph, rows: Rows, progress: Callable[[RowResult], None], *, keep_maps: bool
) -> list[RowResult]:
    """Every row's result, in the rows' order.

    Args:
        photograph: what they look at.
        rows: the main one looks alone, since a network uses all cores, and before all others but `EARLY`.
        progress: called with each result as soon as it is there, one at a time, in any thread.
        keep_maps: whether results keep their maps after `progress` has seen them.
    """
    lock = threading.Lock()

    def look_once(localizer: Localizer) -> RowResult:
        result = look(localizer, photograph)
        with lock:
            progress(result)
        return result if keep_maps else dataclasses.replace(result, found=None, no_evidence={})

    early = [row for row in rows.others if row.name == EARLY]
    results = {row.name: look_once(row) for row in [*early, *([rows.main] if rows.main else [])]}
    others = [row for row in rows.others if row.name not in results]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # Rows ignore these, but one thread's filters are all threads'.
        with ThreadPoolExecutor(THREADS) as threads:
            results |= {result.name: result for result in threads.map(look_once, others)}
    return [results[row.name] for row in rows.all]


def look(localizer: Localizer, photograph: Photograph) -> RowResult:
    """What one row finds; a mistake of the photograph's or too little memory is told in `undefined`."""
    start = time.perf_counter()
    result = RowResult(localizer.name, looks_for(localizer))
    try:
        result.found = localizer.localize_encoded(photograph.image, photograph.encoded)
    except Undefined as reason:
        result.undefined = one_line(reason).removeprefix(f"row {localizer.name} ")
    except UserError as error:
        result.undefined = one_line(error)
    except Exception as error:
        if not out_of_memory(error):
            raise
        result.undefined = "there is not enough memory for a photograph of this size"
    result.seconds = time.perf_counter() - start
    if result.found is not None:
        _compare(localizer, photograph, result, result.found)
    return result


def _compare(localizer: Localizer, photograph: Photograph, result: RowResult, found: Found) -> None:
    result.silent = float(np.ptp(found.probability)) == 0
    result.no_evidence = photograph.no_evidence.for_row(localizer, found.valid)
    result.authentic = compare(localizer.name, found)
    if result.silent:
        result.cautions = [FLAT_MAP]
        return
    result.cautions = [why for name, why in localizer.weakened_by.items() if name in photograph.past]
    left = 1 - float(result.areas_without_evidence().mean())
    if left < LITTLE_EVIDENCE:
        result.cautions.append(f"only {left:.0%} of the photograph is neither clipped, flat nor too small to judge")
