"""Trained runs as localizers."""

from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from splice_jax import crf as crfs
from splice_jax.errors import UserError
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.trained.family import Refine, Variables, family, rows_of_run
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.runs.configuration import load_run_config


def load(workdir: str | Path, *, crf: str = "none", config: ConfigDict | None = None, row: str = "") -> Localizer:
    """The localizer of a trained run, or of one that is still trained: its best checkpoint so far.

    Args:
        workdir: folder of the run, as given to `train`.
        crf: `none` or `pydensecrf`.
        config: what says the grid of patches and the CRF's parameters; the run's own config.json by default.
        row: one of `rows_of_run`, where a run holds several; by default the one it was trained as.

    Raises:
        UserError: no run there, no checkpoint in it yet, no such row in it, or the CRF is not installed.
    """
    workdir = Path(workdir)
    config = config or load_run_config(workdir)
    rows = rows_of_run(config.method)
    if row not in ("", *rows):
        raise UserError(f"{workdir}: holds no row {row!r}; it has {', '.join(rows)}")
    network = network_from_config(config)
    refine = crf_from_config(config, crf)
    variables, _ = best_checkpoint(workdir, family(config.method).variable_shapes(network))
    return localizer_from_config(config, network, variables, refine, row=row)


def best_checkpoint(workdir: Path, shapes: Variables) -> tuple[Variables, dict[str, Any]]:
    """The variables of a run's best checkpoint so far, in host memory, and its record.

    Raises:
        UserError: there is none yet, or its variables are not of these shapes.
    """
    best = Checkpoints(workdir, BEST, read_only=True)
    if best.step is None:
        hint = f"train it with splice-jax train --workdir={workdir}, at least to its first validation"
        raise UserError(f"{workdir}: holds no trained network yet; {hint}")
    return best.restore(shapes)


def network_from_config(config: ConfigDict) -> Any:
    """The network that a configuration describes.

    Raises:
        UserError: a field that has no such choice or is out of range.
    """
    return family(config.method).network(config)


def crf_from_config(config: ConfigDict, backend: str) -> Refine | None:
    """The CRF stage as a function of (image, probability); None for `none`."""
    if backend == "none":
        return None
    crfs.backend_module(backend)
    parameters = crfs.CrfParameters.from_config(config.crf)
    return lambda image, probability: crfs.refine(backend, image, probability, parameters)


def localizer_from_config(
    config: ConfigDict, network: nn.Module, variables: Variables, refine: Refine | None = None, *, row: str = ""
) -> Localizer:
    """A row of the run that a configuration describes, by default the one it was trained as."""
    return family(config.method).localizer(config, network, variables, row=row or config.method, refine=refine)
