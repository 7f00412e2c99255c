"""The rows that look at a photograph: the packaged model or a run's, and every row that needs no training."""

import inspect
from pathlib import Path
from typing import NamedTuple

from splice_jax.methods import Localizer, localizer
from splice_jax.methods.registry import family, hand_crafted
from splice_jax.runs import load
from splice_jax.runs.configuration import load_run_config


class Rows(NamedTuple):
    """The rows of an examination."""

    main: Localizer | None
    """What the verdict rests on; None for rows without a network alone."""
    others: list[Localizer]

    @property
    def all(self) -> list[Localizer]:
        """The main row first."""
        return ([self.main] if self.main else []) + self.others


def load_rows(workdir: str | Path | None = None) -> Rows:
    """The rows of a run, its main one first, or the packaged model, and all hand-crafted rows.

    Args:
        workdir: a run; None for the packaged model.

    Raises:
        UserError: there is no such run.
    """
    by_hand = [localizer(name) for name in hand_crafted()]
    if workdir is None:
        return Rows(load.load_packaged(), by_hand)
    method = load_run_config(Path(workdir)).method
    main, *others = load.load_rows(workdir, list(dict.fromkeys([method, *family(method).rows(method)])), labels=False)
    return Rows(main, others + by_hand)


def looks_for(row: Localizer) -> str:
    """The trace that a row looks for, in one sentence; the first paragraph of its documentation if it has none."""
    text = row.looks_for or (inspect.getdoc(type(row)) or "").split("\n\n")[0]
    return " ".join(text.split())
