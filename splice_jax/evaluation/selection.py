"""Which rows an evaluation has, and their localizers."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

import splice_jax
from splice_jax import crf
from splice_jax.errors import UserError
from splice_jax.evaluation.maps.make import ByName, Row
from splice_jax.evaluation.maps.plan import Key
from splice_jax.evaluation.maps.provenance import ATTEMPTS, changing_checkpoint, checkpoint_digest
from splice_jax.evaluation.maps.records import read_record
from splice_jax.evaluation.rows import TRIVIAL
from splice_jax.evaluation.runs import Run, named_runs
from splice_jax.methods import Localizer, localizer, names
from splice_jax.methods.registry import is_trained


def key_of(name: str, config: ConfigDict) -> Key:
    """The method and CRF of a row, from its name in `config.methods`."""
    return name.removesuffix("+crf"), config.crf.backend if name.endswith("+crf") else "none"


def row_names(config: ConfigDict, runs: Mapping[str, Run]) -> list[str]:
    """The rows in `config.methods`, or those of the runs (the evaluation's own also with CRF); then the trivial rows.

    Raises:
      UserError: a name that is no row, no name at all, or a run that no row is taken from.
    """
    own, backend = config.method, config.crf.backend
    chosen = [name.strip() for name in config.methods.split(",") if name.strip()]
    if not chosen:
        trained = dict.fromkeys(run.config.method for run in runs.values())
        refined = f"{own}+crf" if backend != "none" else own
        chosen = [name for row in trained for name in ((row, refined) if row == own else (row,))]
    _check_names(chosen, runs)
    if backend == "none" and _refined(chosen):
        raise UserError("--config.methods: a row with +crf needs a CRF, add --config.crf.backend=jax")
    _check_runs(config, runs, chosen)
    return list(dict.fromkeys((*chosen, *TRIVIAL)))


def with_usable_crf(config: ConfigDict, named: Sequence[str], maps: Path | None = None) -> ConfigDict:
    """The configuration with the backend that refines these rows, if any of them has a CRF.

    Args:
      config: the evaluation's.
      named: its rows.
      maps: the folder of cached maps, if they are only scored again: maps that the configured backend refined can be
        scored without it.

    Raises:
      UserError: no such backend.
    """
    if not _refined(named) or (maps is not None and config.crf.backend in _refined_by(named, maps)):
        return config
    config = copy.deepcopy(config)
    config.crf.backend = crf.usable(config.crf.backend)
    return config


def _refined_by(named: Sequence[str], maps: Path) -> set[str]:
    """The backends that refined the cached maps of these rows; empty if there are none."""
    with contextlib.suppress(UserError):
        records = (read_record(maps, name) for name in named if name.endswith("+crf"))
        return {record.made_from.get("crf.backend", "") for record in records}
    return set()


def _refined(named: Sequence[str]) -> bool:
    return any(name.endswith("+crf") for name in named)


def _check_names(chosen: Sequence[str], runs: Mapping[str, Run]) -> None:
    known = sorted({*runs, *names()})
    if not chosen:
        raise UserError(f"--config.methods: names no row, and there is no run; choose from {', '.join(known)}")
    for name in chosen:
        method = name.removesuffix("+crf")
        if method not in known and is_trained(method):
            raise UserError(f"--config.methods: {method!r} is a trained row; name its run by --config.runs=DIR")
        if method not in known:
            rows = ", ".join(known)
            raise UserError(f"--config.methods: no row is called {name!r}; there are {rows}, and each as NAME+crf")


def _check_runs(config: ConfigDict, runs: Mapping[str, Run], chosen: Sequence[str]) -> None:
    used = {runs[method].workdir for name in chosen if (method := name.removesuffix("+crf")) in runs}
    for workdir in named_runs(config):
        if workdir not in used:
            held = ", ".join(row for row, run in runs.items() if run.workdir == workdir)
            raise UserError(f"--config.runs: {workdir} has {held}, which --config.methods does not name")


class Opened(NamedTuple):
    """The rows of an evaluation, ready to localize."""

    rows: list[Row]
    checkpoints: Mapping[str, str]
    """By trained method, the digest of the loaded checkpoint."""


def open_rows(named: Sequence[str], config: ConfigDict, runs: Mapping[str, Run]) -> Opened:
    """The rows with these names; each localizer is made, or loaded from its run, once.

    Raises:
      UserError: a run holds no trained network yet, or its checkpoint keeps changing while it is read.
    """
    localizers: dict[str, Localizer | ByName] = {}
    checkpoints: dict[str, str] = {}
    for method in dict.fromkeys(name.removesuffix("+crf") for name in named):
        if method in runs:
            localizers[method], checkpoints[method] = load_row(runs[method], method)
        else:
            localizers[method] = _without_network(method, config)
    rows = [Row(localizers[method], backend) for method, backend in (key_of(name, config) for name in named)]
    return Opened(rows, checkpoints)


def recorded_checkpoints(named: Sequence[str], runs: Mapping[str, Run]) -> dict[str, str]:
    """By trained method, the digest of its run's checkpoint, without loading it."""
    methods = dict.fromkeys(name.removesuffix("+crf") for name in named)
    return {method: checkpoint_digest(runs[method].workdir) for method in methods if method in runs}


def load_row(run: Run, row: str) -> tuple[Localizer, str]:
    """The localizer of a trained row and the digest of its checkpoint.

    Training may still be in progress, so the digest is compared before and after loading: only if it did not change is
    it that of the loaded checkpoint.

    Raises:
      UserError: the run holds no trained network yet, or its checkpoint keeps changing while it is read.
    """
    for _ in range(ATTEMPTS):
        before = checkpoint_digest(run.workdir)
        try:
            loaded = splice_jax.load(run.workdir, crf="none", config=run.config, row=row)
        except UserError:
            if checkpoint_digest(run.workdir) == before:
                raise
            continue  # It was replaced while being read.
        if checkpoint_digest(run.workdir) == before:
            return loaded, before
    raise changing_checkpoint(run.workdir)


def _without_network(name: str, config: ConfigDict) -> Localizer | ByName:
    """A localizer's name, which other processes can use too; the localizer itself if trivial or not of this package."""
    made = localizer(name, seed=config.seed) if name == "random" else localizer(name)
    elsewhere = name not in TRIVIAL and type(made).__module__.startswith("splice_jax.")
    return ByName(name) if elsewhere else made
