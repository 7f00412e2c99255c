"""The CRF as a network's last layer: its weights and widths are trained with the network, through the mean-field steps.

They stand among the parameters as the module `crf`. What is learned goes into the run's configuration, section `crf`,
where whoever refines the run's maps reads it.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, UInt8

from splice_jax.crf import CrfParameters
from splice_jax.crf.mean_field import Kernels, mean_field
from splice_jax.errors import UserError
from splice_jax.methods.family import Variables

NAME = "crf"
LEARNED = Kernels._fields
"""Fields of the section `crf`."""
PACE = 20.0
"""In a step, Adam changes a weight or width by up to so many times the learning rate, as a share of itself. At the
learning rate of a network that is trained already, they would hardly move otherwise."""

_LEAST = 1e-6
"""Added to marginals before their logarithm is taken."""


def initial(parameters: CrfParameters) -> dict[str, Float[Array, ""]]:
    """The module `crf`: logarithms of weights and widths, in units of `PACE`.

    Raises:
        UserError: a weight is 0, which has no logarithm, or the CRF would recentre maps.
    """
    if parameters.neutral != "half":
        raise UserError(f"config.crf.neutral: {parameters.neutral!r}, but a CRF is trained by probabilities; set half")
    values = asdict(parameters)
    for name in LEARNED:
        if not values[name]:
            raise UserError(f"config.crf.{name}: 0 cannot be trained; start from a small weight, such as 0.1")
    return {name: jnp.array(math.log(values[name]) / PACE, jnp.float32) for name in LEARNED}


def kernels(module: Mapping[str, Array], side: int = 1) -> Kernels:
    """The weights and widths of the module `crf`, for maps whose pixels are squares of `side` pixels."""
    found = Kernels(**{name: jnp.exp(PACE * module[name]) for name in LEARNED})
    return found._replace(
        bilateral_position_std=found.bilateral_position_std / side,
        smoothness_position_std=found.smoothness_position_std / side,
    )


def parted(variables: Variables) -> tuple[Variables, dict[str, float]]:
    """The network's own variables, and the learned fields of the section `crf`; none where the CRF is not trained."""
    params = dict(variables["params"])
    module = params.pop(NAME, None)
    learned = {} if module is None else {name: float(value) for name, value in kernels(module)._asdict().items()}
    return variables | {"params": params}, learned


def refined(
    logits: Float[Array, "n height width"],
    image: UInt8[Array, "n height width 3"],
    inside: Float[Array, "n height width"],
    weights: Kernels,
    iterations: int,
) -> Float[Array, "n height width"]:
    """The log odds of a splice after mean-field steps; the lattice has room for any image.

    Args:
        logits: log odds before.
        image: RGB.
        inside: 1 in a rectangle, the image; 0 outside of it, where the result means nothing.
        weights: and widths, in pixels of the map.
        iterations: mean-field steps.
    """
    corners, sizes = jax.vmap(_rectangle)(inside)
    here, seen = jax.vmap(_moved)(logits, -corners), jax.vmap(_moved)(image, -corners)
    unary = jnp.stack([jax.nn.softplus(here), jax.nn.softplus(-here)], 1)
    capacity = 2 ** math.ceil(math.log2(6 * logits[0].size + 2))
    host, spliced = jnp.moveaxis(
        mean_field(unary, seen, weights, iterations=iterations, capacity=capacity, sizes=sizes).marginals, 1, 0
    )
    return jax.vmap(_moved)(jnp.log(spliced + _LEAST) - jnp.log(host + _LEAST), corners)


def _rectangle(inside: Float[Array, "height width"]) -> tuple[Int32[Array, " 2"], Int32[Array, " 2"]]:
    """Its first row and column, and its size."""
    sides = inside.max(1) > 0, inside.max(0) > 0
    corner, size = ([of(side) for side in sides] for of in (jnp.argmax, jnp.sum))
    return jnp.stack(corner).astype(jnp.int32), jnp.stack(size).astype(jnp.int32)


def _moved(values: Any, by: Int32[Array, " 2"]) -> Array:
    """Down and to the right, by so many rows and columns."""
    return jnp.roll(values, by, (0, 1))
