"""Which rows images are localized by."""

from pathlib import Path
from typing import NamedTuple

from splice_jax import runtime
from splice_jax.errors import UserError
from splice_jax.localize.results import infixes
from splice_jax.methods import Localizer, localizer, names
from splice_jax.methods.registry import family


class Rows(NamedTuple):
    """The rows that images are localized by, in the order of the results."""

    of_run: list[str]
    """Those that a run holds; "" is the one that it was trained as."""

    without_run: list[str]

    @property
    def infixes(self) -> list[str]:
        """What tells the results of one row from those of another."""
        return infixes([*self.of_run, *self.without_run])


def choose_rows(workdir: Path | None, method: str | None) -> Rows:
    """The rows that `--workdir` and `--method` ask for; whether there are such rows shows when they are loaded.

    Args:
        workdir: a run, or None.
        method: names with commas between them; `all` is every row of the run and every row that needs none. None is
            the row that the run was trained as.

    Raises:
        UserError: neither is given, or there is no such run to ask for all of its rows.
    """
    if method is None:
        if workdir is None:
            raise UserError("--workdir, --method: give a trained run, or a row that needs none; see --help")
        return Rows([""], [])
    asked = [name.strip() for name in method.split(",")]
    if "all" in asked:
        asked = [*_held(workdir), *names()]
    asked = list(dict.fromkeys(filter(None, asked))) or [""]
    if workdir is None:
        return Rows([], asked)
    known = names()
    return Rows([name for name in asked if name not in known], [name for name in asked if name in known])


def load_rows(rows: Rows, workdir: Path | None, *, crf: str = "none", labels: bool = False) -> list[Localizer]:
    """The localizers of chosen rows; a run is loaded once.

    Args:
        rows: see `choose_rows`.
        workdir: the run that `rows.of_run` are of.
        crf: `none` or a backend of the CRF.
        labels: whether the labels are wanted as well as the map.

    Raises:
        UserError: no such row or run, or the CRF is not installed.
    """
    localizers: list[Localizer] = []
    if workdir is not None and rows.of_run:
        from splice_jax.runs import load  # Which loads JAX; the other rows do without.

        localizers = load.load_rows(workdir, rows.of_run, crf=crf, labels=labels)
    others = [localizer(name) for name in rows.without_run]
    if crf != "none" and others:
        from splice_jax.methods.refined import Refined

        if crf == "jax":
            runtime.set_up_where_unused()
        return [*localizers, *(Refined(other, crf) for other in others)]
    return localizers + others


def _held(workdir: Path | None) -> tuple[str, ...]:
    if workdir is None:
        return ()
    from splice_jax.runs.configuration import load_run_config

    method = load_run_config(workdir).method
    return family(method).rows(method)
