"""Localizes with `sgt`: traces, network, and what calibration makes of its logits."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, UInt8

from splice_jax.images import upright
from splice_jax.methods.family import Refine
from splice_jax.methods.localizer import Found
from splice_jax.methods.traces.trace import spread, to_pixels
from splice_jax.methods.trained.network import NetworkLocalizer
from splice_jax.models.semi_global_traces import SemiGlobalTraces
from splice_jax.models.traces import bank
from splice_jax.models.traces.planes import BLOCK, block_means
from splice_jax.models.traces.reading import Reading, read
from splice_jax.weights.calibration import Calibration

SIZES = ((48, 48), (72, 96), (96, 96), (144, 144))
"""Rows and columns of blocks that images are padded to; most photographs are wider than high."""
LARGE_STEPS = ((288, 144), (math.inf, 72))
"""Larger ones to multiples of the second, up to the first: the larger an image, the more its padding costs beside
another compilation."""
FLAT_CONTRAST = 0.5
"""Standard deviation in levels below which a block is flat: nothing of its making can be seen."""
MOST_SATURATED = 0.5
"""Share of a block's pixels at the ends of the scale, from which on it says nothing."""

_FINE = BLOCK // 2


class SemiGlobalTracesLocalizer(NetworkLocalizer):
    """The network's map at full resolution; calibrated where the model is."""

    smallest = 64  # Fewer blocks are not enough to compare.
    looks_for = (
        "What a network that compares over a hundred traces of every place with those of the whole photograph learned "
        "to take for pasted in."
    )
    window = 3 * BLOCK
    """Most traces are means over 3x3 blocks."""

    def __init__(
        self,
        name: str,
        network: SemiGlobalTraces,
        variables: Mapping[str, Any],
        *,
        refine: Refine | None = None,
        calibration: Calibration | None = None,
        version: str = "",
    ) -> None:
        """Keeps the network.

        Args:
            name: the method's name.
            network: what `variables` belong to.
            variables: the Flax variables.
            refine: the CRF; None for none.
            calibration: of these very variables; without one, the map is the network's own and there is no score.
            version: of the packaged model; "" for another.
        """
        super().__init__(name, variables, refine=refine)
        self.network, self.calibration, self.version = network, calibration, version

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """What the pixels tell.

        Raises:
            Undefined: the image is smaller than 64 x 64 pixels.
        """
        return self.localize_encoded(image, b"")

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """What the pixels and, in a JPEG, its own coefficients tell.

        Raises:
            Undefined: the image is smaller than 64 x 64 pixels.
        """
        self.require_size(image)
        reading = read(image, encoded)
        logits, image_logit, valid = self.judge(reading)
        score = alarm = None
        if self.calibration is not None:
            logits = self.calibration.of_map(logits, image_logit)
            score, alarm = self.calibration.score(image_logit), self.calibration.alarm(image_logit)
        stored = (image.shape[0], image.shape[1]) if reading.orientation < 5 else (image.shape[1], image.shape[0])
        probability = upright(spread(_sigmoid(logits), stored, _FINE, origin=reading.origin), reading.orientation)
        seen = upright(to_pixels(valid, stored, BLOCK, reading.origin), reading.orientation)
        if self.refine is not None:
            probability = self.refine(image, probability)
        return Found(probability, probability >= 0.5, score=score, alarm=alarm, valid=seen)

    def judge(
        self, reading: Reading
    ) -> tuple[Float32[np.ndarray, "2*rows 2*columns"], float, Bool[np.ndarray, "rows columns"]]:
        """Logits of the map and of the image, and where blocks say something; in the file's orientation."""
        rows, columns = reading.blocks
        padded = reading.window(0, 0, *padded_size(rows, columns))
        size = np.array([rows, columns], np.int32)
        fine, logit, valid = _logits(self.network, self.variables, padded.image, padded.planes, padded.tables, size)
        return np.asarray(fine)[: 2 * rows, : 2 * columns], float(logit), np.asarray(valid)[:rows, :columns]


def padded_size(rows: int, columns: int) -> tuple[int, int]:
    """The size in blocks that an image is padded to: few sizes, so that few programs are compiled.

    >>> padded_size(32, 48), padded_size(71, 94), padded_size(375, 500)
    ((48, 48), (72, 96), (432, 504))
    """
    for size in SIZES:
        if rows <= size[0] and columns <= size[1]:
            return size
    longest = max(rows, columns)
    unit = next(unit for most, unit in LARGE_STEPS if longest <= most)
    return math.ceil(rows / unit) * unit, math.ceil(columns / unit) * unit


@functools.partial(jax.jit, static_argnames="network")
def _logits(
    network: SemiGlobalTraces, variables: Mapping[str, Any], image: Array, planes: Array, tables: Array, size: Array
) -> tuple[Array, Array, Array]:
    traces = bank.measure(image, planes, tables, size)
    standard = bank.standardised(traces, *bank.own_scale(traces, size))
    rows, columns = traces.shape[:2]
    inside = ((jnp.arange(rows)[:, None] < size[0]) & (jnp.arange(columns) < size[1])).astype(jnp.float32)
    colours = jnp.stack([block_means(image[..., each].astype(jnp.float32), _FINE) for each in range(3)], -1)
    found: Any = network.apply(variables, standard[None], colours[None] / 127.5 - 1, inside[None])
    return found.fine[0], found.image[0], _telling(image, planes[..., 0])


def _telling(image: Array, luma: Array) -> Array:
    """Blocks that are neither flat nor saturated."""
    variance = block_means(luma**2) - block_means(luma) ** 2
    extreme = (image.max(-1) >= 254) | (image.min(-1) <= 1)
    return (variance > FLAT_CONTRAST**2) & (block_means(extreme.astype(jnp.float32)) < MOST_SATURATED)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
