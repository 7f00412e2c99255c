"""Which methods images are localized with."""

from pathlib import Path
from typing import NamedTuple

from splice_jax import runtime
from splice_jax.crf import CrfParameters
from splice_jax.localize.results import infixes
from splice_jax.methods import Localizer, localizer, names
from splice_jax.methods.refined import UNCALIBRATED, Refined
from splice_jax.methods.registry import PACKAGED, family


class Rows(NamedTuple):
    """The methods that images are localized with, in the order of the results."""

    of_run: list[str]
    """Methods that a run holds; "" is the one it was trained as."""

    without_run: list[str]

    @property
    def infixes(self) -> list[str]:
        """What distinguishes the file names of different methods' results."""
        return infixes([*self.of_run, *self.without_run])


def choose_rows(workdir: Path | None, method: str | None) -> Rows:
    """The methods that `--workdir` and `--method` ask for; whether they exist is checked when they are loaded.

    Args:
        workdir: a run, or None.
        method: comma-separated names; `all` means every method of the run and every one that needs no run. None means
            the method the run was trained as; without a run, the packaged model.

    Raises:
        UserError: all methods are asked for and there is no such run.
    """
    if method is None:
        return Rows([], [PACKAGED[0]]) if workdir is None else Rows([""], [])
    asked = [name.strip() for name in method.split(",")]
    if "all" in asked:
        asked = [*_held(workdir), *names()]  # A run's own model is preferred to the packaged one.
    asked = list(dict.fromkeys(filter(None, asked))) or [""]
    if workdir is None:
        return Rows([], asked)
    of_run = _held(workdir) if any(name in PACKAGED for name in asked) else ()
    known = [name for name in names() if name not in of_run]
    return Rows([name for name in asked if name not in known], [name for name in asked if name in known])


def load_rows(rows: Rows, workdir: Path | None, *, crf: str = "none", labels: bool = False) -> list[Localizer]:
    """The localizers of the chosen methods; a run is loaded once.

    Args:
        rows: see `choose_rows`.
        workdir: the run that holds `rows.of_run`.
        crf: `none` or a CRF backend.
        labels: whether labels are needed as well as the map.

    Raises:
        UserError: there is no such method or run, or the CRF is not installed.
    """
    localizers: list[Localizer] = []
    if workdir is not None and rows.of_run:
        from splice_jax.runs import load  # Loads JAX, which the other methods do not need.

        localizers = load.load_rows(workdir, rows.of_run, crf=crf, labels=labels)
    if any(name in PACKAGED for name in rows.without_run):
        runtime.set_up_where_unused()
    others = [localizer(name) for name in rows.without_run]
    if crf != "none" and others:
        if crf == "jax":
            runtime.set_up_where_unused()
        return [*localizers, *(Refined(other, crf, _parameters(other.name)) for other in others)]
    return localizers + others


def _parameters(method: str) -> CrfParameters:
    """The packaged model's maps are calibrated, so that 0.5 speaks for neither label."""
    return CrfParameters() if method in PACKAGED else UNCALIBRATED


def _held(workdir: Path | None) -> tuple[str, ...]:
    if workdir is None:
        return ()
    from splice_jax.runs.configuration import load_run_config

    method = load_run_config(workdir).method
    return family(method).rows(method)
