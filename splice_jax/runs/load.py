"""Trained runs as localizers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from splice_jax import crf as crfs
from splice_jax import runtime
from splice_jax.errors import UserError
from splice_jax.methods.family import Refine, Variables
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.registry import family
from splice_jax.runs import schema
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.runs.configuration import load_run_config


def load(
    workdir: str | Path,
    *,
    crf: str = "none",
    config: ConfigDict | None = None,
    row: str = "",
    labels: bool = True,
    set_up: bool = True,
) -> Localizer:
    """The localizer of a trained run, or of one that is still trained: its best checkpoint so far.

    The first call in a process that has not used JAX yet does what the commands do, see `runtime.set_up`: it divides
    the CPU into a device per core, keeps what is compiled in the user's cache and lets the C library keep freed memory.
    A process that has computed with JAX, or has chosen its own number of CPU devices, keeps its settings.

    Args:
        workdir: folder of the run, as given to `train`.
        crf: `none`, `jax` or `pydensecrf`.
        config: what says the grid of patches and the CRF's parameters; the run's own config.json by default.
        row: one of `Family.rows`, where a run holds several; by default the one it was trained as.
        labels: whether `Found.label_probability` is wanted; the map costs less without, and is the same.
        set_up: whether JAX may be set up; SPLICE_JAX_SET_UP=0 in the environment forbids it as well.

    Raises:
        UserError: no run there, no checkpoint in it yet, no such row in it, or the CRF is not installed.
    """
    return load_rows(workdir, [row], crf=crf, config=config, labels=labels, set_up=set_up)[0]


def load_rows(
    workdir: str | Path,
    rows: Sequence[str],
    *,
    crf: str = "none",
    config: ConfigDict | None = None,
    labels: bool = True,
    set_up: bool = True,
) -> list[Localizer]:
    """As `load`, several rows of one run, whose network is loaded once.

    Raises:
        UserError: as `load`.
    """
    workdir = Path(workdir)
    config = config or load_run_config(workdir)
    held = family(config.method).rows(config.method)
    for row in rows:
        if row not in ("", *held):
            raise UserError(f"{workdir}: holds no row {row!r}; it has {', '.join(held)}")
    if set_up:
        runtime.set_up_where_unused()
    network = network_from_config(config)
    refine = crf_from_config(config, crf)
    variables: Any = best_checkpoint(workdir, family(config.method).variable_shapes(network))[0]
    localizers = []
    for row in rows:
        localizer = localizer_from_config(config, network, variables, refine, row=row)
        localizer.labels = labels
        variables = localizer.variables  # on the devices already, where the next row finds them
        localizers.append(localizer)
    return localizers


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
    schema.check_config(config)
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
