"""Which maps an evaluation needs: for the scored split, for validation images, for degraded images."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splice_jax import hosts
from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.errors import UserError
from splice_jax.evaluation.maps import records
from splice_jax.evaluation.maps.degradations import Degradation
from splice_jax.evaluation.maps.make import IN_THIS_PROCESS, ByName, Row, Stage, make_maps
from splice_jax.evaluation.maps.truth import Truth, read_truths
from splice_jax.evaluation.rows import row_name
from splice_jax.workers import executor

Key = tuple[str, str]
"""Method and CRF of a row."""

IN_PROCESS_MEGAPIXELS = 10
"""Up to this many megapixels times localizers, starting other processes takes longer than localizing."""


@dataclass(frozen=True, eq=False)
class Validation:
    """The images on which the threshold `validation` is chosen, or why there are none."""

    examples: Sequence[Example] = ()
    reason: str = "no validation images were given"


@dataclass(frozen=True, eq=False)
class Plan:
    """Rows, by method and CRF, with what each is made from, and the stages in which their maps are made."""

    rows: Mapping[Key, Mapping[str, Any]]
    main: Stage
    validation: Stage | None
    degraded: Sequence[Stage]
    ignore_border: int = 0
    processes: int | None = None
    """Besides this one; None: one per core if there is enough to do."""

    def make(self, rows: Sequence[Row], parameters: CrfParameters, *, anew: bool = False) -> None:
        """Makes and caches the maps that are missing or stale, or all of them anew.

        Of several processes, each makes the maps of its share of the images; then process 0 completes the records.
        """
        made_from = {row_name(*key): row for key, row in self.rows.items()}
        with executor(self._processes(rows)) as workers:
            make = functools.partial(make_maps, rows, made_from=made_from, parameters=parameters, workers=workers)
            if hosts.count() > 1:
                for stage in self.stages():
                    make(stage, own=hosts.share(stage.truths), anew=anew)
                hosts.meet()
                anew = False
            if hosts.is_first():
                for stage in self.stages():
                    make(stage, anew=anew)

    def _processes(self, rows: Sequence[Row]) -> int | None:
        """One per core where a CRF keeps them busy, or localizers without a network do for long enough."""
        if self.processes is not None or any(row.crf not in ("none", *IN_THIS_PROCESS) for row in rows):
            return self.processes
        localizers = len({row.localizer for row in rows if isinstance(row.localizer, ByName)})
        pixels = sum(truth.height * truth.width for stage in self.stages() for truth in stage.truths)
        return None if localizers * pixels / 1e6 > IN_PROCESS_MEGAPIXELS else 0

    def require(self) -> None:
        """Checks that all maps exist and are what `make` would make.

        Raises:
          UserError: maps are missing or stale.
        """
        for stage in self.stages():
            for key in self.rows:
                self.record(stage, key)

    def stages(self) -> list[Stage]:
        """All stages, the main one first."""
        return [self.main, *([self.validation] if self.validation else []), *self.degraded]

    def record(self, stage: Stage, key: Key) -> records.RowRecord:
        """The record of a row's maps in a stage.

        Raises:
          UserError: the maps are missing, or are not what `make` would make.
        """
        return records.require(stage.folder, row_name(*key), stage.made_from(self.rows[key]))


def plan(
    rows: Mapping[Key, Mapping[str, Any]],
    examples: Sequence[Example],
    output: Path,
    *,
    title: str,
    validation: Validation,
    degradations: Sequence[Degradation] = (),
    seed: int = 0,
    ignore_border: int = 0,
    processes: int | None = None,
) -> Plan:
    """The plan of an evaluation that writes into the folder `output`.

    Raises:
      UserError: the split that `title` names has no image, or two images with the same name.
    """
    truths = read_truths(examples)
    spliced = _spliced(truths)
    if not truths:
        raise UserError(f"{title} holds no image, so there is nothing to score")
    main = Stage("evaluating", examples, truths, output / "maps")
    chosen_on = _spliced(read_truths(validation.examples))
    choosing = Stage("validation", validation.examples, chosen_on, output / "validation" / "maps")
    degraded = [
        Stage(str(each), examples, spliced, output / "degradations" / each.folder / "maps", each, seed)
        for each in (degradations if spliced else ())
    ]
    return Plan(rows, main, choosing if chosen_on else None, degraded, ignore_border, processes)


def _spliced(truths: Sequence[Truth]) -> list[Truth]:
    return [truth for truth in truths if truth.spliced]
