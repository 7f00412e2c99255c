"""Examines one photograph: every row once, the file's facts, and the verdict."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from splice_jax.examination.authentic import by_chance
from splice_jax.examination.evidence import NoEvidence, no_evidence
from splice_jax.examination.file.contradictions import Contradiction, contradictions, kind
from splice_jax.examination.file.facts import Facts, read_facts
from splice_jax.examination.looking import Photograph, RowResult, look_all
from splice_jax.examination.resizing import resized
from splice_jax.examination.rows import Rows, load_rows
from splice_jax.examination.verdict import Verdict, verdict
from splice_jax.files import read_bytes
from splice_jax.images import read_image

_COMPRESSED_TWICE = ("adq1", "adq2", "nadq")
"""Rows whose map is the same everywhere unless they find an earlier compression."""


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
        progress: called with each row's result as soon as it is there, one at a time, in any thread and order.

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
    past = {"jpeg" if facts.jpeg or facts.earlier_jpeg else "no jpeg"} | ({"resized"} if was_resized else set())
    if facts.earlier_jpeg is not None and facts.earlier_jpeg.shifted:
        past.add("shifted jpeg")
    judged = verdict(None, None)

    def see(result: RowResult) -> None:
        nonlocal judged
        if rows.main and result.name == rows.main.name:
            judged = verdict(rows.main, result.found, kind(facts))
        progress(result)

    photograph = Photograph(encoded, image, without, frozenset(past))
    results = look_all(photograph, rows, see, keep_maps=keep_maps)
    found, told = contradictions(facts), compressions(facts, results)
    return Examination(facts, image, judged, results, found, without, was_resized, told, by_chance())


def compressions(facts: Facts, results: Sequence[RowResult]) -> str:
    """How often a photograph was compressed as JPEG, as far as the rows that look for it can tell."""
    twice = [row.name for row in results if row.name in _COMPRESSED_TWICE and not (row.undefined or row.silent)]
    if facts.earlier_jpeg is not None:
        # Where `adq1` finds no period, it takes the pixels as they are, and sees the one compression.
        before = [name for name in twice if name != "adq1"]
        more = f"; {before[0]} finds signs of one before that" if before else ""
        return f"this file is no JPEG, but its pixels are those of {facts.earlier_jpeg}{more}"
    if facts.jpeg is None:
        return f"this file is no JPEG, but {twice[0]} finds signs that it was one" if twice else "this file is no JPEG"
    if twice:
        return f"signs of more than one, in part or as a whole ({', '.join(twice)}); some phones leave such signs too"
    return "one, or more that no row can tell"
