"""Examines one photograph: every row once, the file's facts, and the verdict."""

import dataclasses
import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from splice_jax.errors import UserError, one_line, out_of_memory
from splice_jax.examination.authentic import Authentic, by_chance, compare
from splice_jax.examination.evidence import Area, NoEvidence, no_evidence
from splice_jax.examination.file.contradictions import Contradiction, contradictions
from splice_jax.examination.file.facts import Facts, read_facts
from splice_jax.examination.resizing import resized
from splice_jax.examination.rows import Rows, load_rows, looks_for
from splice_jax.examination.verdict import Verdict, verdict
from splice_jax.files import read_bytes
from splice_jax.images import read_image
from splice_jax.methods.localizer import Found, Localizer, Undefined

FLAT_MAP = "it found none of its traces: the map is the same everywhere"
_COMPRESSED_TWICE = ("adq1", "adq2", "nadq")
"""Rows whose map is the same everywhere unless they find an earlier compression."""
LITTLE_EVIDENCE = 0.1
"""With less of the photograph left to judge, a row's map is called doubtful."""


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


@dataclass(eq=False)
class Examination:
    """Everything that is said of one photograph."""

    facts: Facts
    image: UInt8[np.ndarray, "height width 3"]
    """Upright."""
    verdict: Verdict
    rows: list[RowResult]
    """The main row first, where there is one."""
    contradictions: list[Contradiction]
    no_evidence: NoEvidence
    resized: bool
    compressions: str
    """How often the photograph was compressed as JPEG, as far as a row can tell."""
    by_chance: float
    """Share of authentic photographs in which at least one row without training stands out."""
    examined: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))


def examine(
    path: str | Path,
    *,
    workdir: str | Path | None = None,
    rows: Rows | None = None,
    progress: Callable[[RowResult], None] = lambda result: None,
) -> Examination:
    """Examines a photograph with every row that applies.

    Args:
        path: a JPEG, PNG, TIFF, BMP or WebP.
        workdir: a trained run whose rows to use; by default the packaged model, where there is one.
        rows: as `load_rows` gives them, to examine several photographs with; `workdir` is not read then.
        progress: called with each row's result as soon as it is there.

    Raises:
        UserError: the file cannot be read, or there is no such run.
    """
    encoded = read_bytes(path)
    return examine_encoded(encoded, Path(path).name, rows or load_rows(workdir), title=str(path), progress=progress)


def examine_encoded(
    encoded: bytes,
    name: str,
    rows: Rows,
    *,
    title: str = "",
    progress: Callable[[RowResult], None] = lambda result: None,
    keep_maps: bool = True,
) -> Examination:
    """As `examine`, for the bytes of a file.

    Args:
        encoded: the file.
        name: its name, without its folder.
        rows: as `load_rows` gives them.
        title: what errors call it; by default its name.
        progress: see `examine`.
        keep_maps: whether the results keep their maps after `progress` has seen them; of a photograph of 12 megapixels,
            all maps need a gigabyte.
    """
    image = read_image(encoded, name=title or name)
    facts, without, was_resized = read_facts(encoded, image, name), no_evidence(image), resized(image)
    past = {"resized"} if was_resized else set()
    past.add("jpeg" if facts.jpeg else "no jpeg")
    results, judged = [], verdict(None, None)
    for localizer in rows.all:
        result = _look(localizer, image, encoded, without, past)
        progress(result)
        if localizer is rows.main:
            judged = verdict(localizer, result.found)
        results.append(result if keep_maps else dataclasses.replace(result, found=None, no_evidence={}))
    found, told = contradictions(facts), compressions(facts, results)
    return Examination(facts, image, judged, results, found, without, was_resized, told, by_chance())


def compressions(facts: Facts, results: list[RowResult]) -> str:
    """How often a photograph was compressed as JPEG, as far as the rows that look for it can tell."""
    twice = [row.name for row in results if row.name in _COMPRESSED_TWICE and not (row.undefined or row.silent)]
    if facts.jpeg is None:
        return f"this file is no JPEG, but {twice[0]} finds signs that it was one" if twice else "this file is no JPEG"
    if twice:
        return f"signs of more than one, in part or as a whole ({', '.join(twice)}); some phones leave such signs too"
    return "one, or more that no row can tell"


def _look(
    localizer: Localizer,
    image: UInt8[np.ndarray, "height width 3"],
    encoded: bytes,
    without: NoEvidence,
    past: set[str],
) -> RowResult:
    start = time.perf_counter()
    result = RowResult(localizer.name, looks_for(localizer))
    try:
        result.found = localizer.localize_encoded(image, encoded)
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
        result.silent = float(np.ptp(result.found.probability)) == 0
        result.no_evidence = without.for_row(localizer, result.found.valid)
        result.authentic = compare(localizer.name, result.found)
        result.cautions = _cautions(localizer, result, past)
    return result


def _cautions(localizer: Localizer, result: RowResult, past: set[str]) -> list[str]:
    if result.silent:
        return [FLAT_MAP]
    cautions = [why for name, why in localizer.weakened_by.items() if name in past]
    left = 1 - float(result.areas_without_evidence().mean())
    if left < LITTLE_EVIDENCE:
        cautions.append(f"only {left:.0%} of the photograph is neither clipped, flat nor too small to judge")
    return cautions
