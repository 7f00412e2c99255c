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
from splice_jax.methods.registry import PACKAGED, family
from splice_jax.runs import schema
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.runs.configuration import load_run_config


def load(
    workdir: str | Path | None = None,
    *,
    crf: str = "none",
    config: ConfigDict | None = None,
    row: str = "",
    labels: bool = True,
    set_up: bool = True,
) -> Localizer:
    """The localizer of the packaged model, or of a run at its best checkpoint so far, even while it is trained.

    In a process that has not used JAX yet, the first call sets JAX up as the commands do (`runtime.set_up`): one CPU
    device per core, compiled programs kept in the user's cache, freed memory kept by the C library. A process that has
    already computed with JAX, or has chosen its number of CPU devices, keeps its settings.

    Args:
        workdir: the run's folder, as given to `train`; None for the model that comes with the package.
        crf: `none`, `jax` or `pydensecrf`.
        config: sets the grid of patches and the CRF's parameters; the run's own config.json by default.
        row: one of `Family.rows` if the run holds several; by default the method it was trained as.
        labels: whether `Found.label_probability` is needed; the map is the same without it, and costs less.
        set_up: whether JAX may be set up; SPLICE_JAX_SET_UP=0 in the environment also forbids it.

    Raises:
        UserError: there is no run, it has no checkpoint yet or no such method, or the CRF is not installed.
    """
    if workdir is None:
        return load_packaged(crf=crf, config=config, set_up=set_up)
    return load_rows(workdir, [row], crf=crf, config=config, labels=labels, set_up=set_up)[0]


def load_packaged(*, crf: str = "none", config: ConfigDict | None = None, set_up: bool = True) -> Localizer:
    """The localizer of the model that comes with the package, calibrated; as `load`.

    Args:
        crf: `none`, `jax` or `pydensecrf`.
        config: sets the CRF's parameters; the defaults of all fields otherwise.
        set_up: as in `load`.

    Raises:
        UserError: the model's file is damaged, or the CRF is not installed.
    """
    if set_up:
        runtime.set_up_where_unused()
    refine = crf_from_config(config or schema.default_config(), crf)
    return family(PACKAGED[0]).packaged(refine=refine)


def load_rows(
    workdir: str | Path,
    rows: Sequence[str],
    *,
    crf: str = "none",
    config: ConfigDict | None = None,
    labels: bool = True,
    set_up: bool = True,
) -> list[Localizer]:
    """As `load`, for several methods of one run, whose network is loaded once.

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
        variables = localizer.variables  # already on the devices, for the next method to use
        localizers.append(localizer)
    return localizers


def best_checkpoint(workdir: Path, shapes: Variables) -> tuple[Variables, dict[str, Any]]:
    """The variables of a run's best checkpoint so far, in host memory, and its record.

    Raises:
        UserError: there is no checkpoint yet, or its variables do not have these shapes.
    """
    best = Checkpoints(workdir, BEST, read_only=True)
    if best.step is None:
        hint = f"train it with splice-jax train --workdir={workdir}, at least to its first validation"
        raise UserError(f"{workdir}: holds no trained network yet; {hint}")
    return best.restore(shapes)


def network_from_config(config: ConfigDict) -> Any:
    """The network that a configuration describes.

    Raises:
        UserError: a field's value is not one of its choices, or is out of range.
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
    """The localizer of a method of the configured run, by default the method it was trained as."""
    return family(config.method).localizer(config, network, variables, row=row or config.method, refine=refine)
