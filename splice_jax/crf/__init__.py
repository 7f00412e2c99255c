"""Fully connected conditional random fields (Krähenbühl & Koltun 2011) that refine a probability map by its image.

Two labels (spliced, host) with Potts compatibility. The energy of a labelling sums −log of the label's probability over
pixels and, over all pairs i, j of pixels with different labels,

    ω1 · exp(−|p_i − p_j|² / 2σ_α² − |I_i − I_j|² / 2σ_β²) + ω2 · exp(−|p_i − p_j|² / 2σ_γ²)

with positions p in pixels and colours I in 0 … 255. Mean-field steps find the marginals. As in the authors' program,
each kernel is normalised, so that its weight is the same in the middle and in the corners of an image.
"""

import dataclasses
import functools
import importlib
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float32, UInt8

from splice_jax.crf.gathering import Gathering, current
from splice_jax.errors import UserError

BACKENDS = {"jax": "splice_jax.crf.on_device", "pydensecrf": "splice_jax.crf.pydensecrf"}
"""CRF backends and their modules; "none" leaves the map unchanged."""

NEUTRALS = ("half", "otsu")

CLIP = 1e-4
"""Probabilities are kept this far from 0 and 1, so that every pixel's label can still change."""


@dataclasses.dataclass(frozen=True)
class CrfParameters:
    """The `crf` section of a configuration, except its backend. Defaults are a starting point, not published."""

    bilateral_weight: float = 10.0
    """ω1, of the kernel in position and colour; 0 leaves the kernel out."""
    bilateral_position_std: float = 80.0
    """σ_α, pixels."""
    bilateral_colour_std: float = 13.0
    """σ_β, in levels of 0 … 255."""
    smoothness_weight: float = 3.0
    """ω2, of the kernel in position alone; 0 leaves the kernel out."""
    smoothness_position_std: float = 3.0
    """σ_γ, pixels."""
    iterations: int = 5
    """Mean-field steps."""
    max_megapixels: float = 2.0
    """Larger images are refined at this size and the result is enlarged, which bounds memory and time."""
    neutral: str = "half"
    """The probability that favours neither label: `half`, or `otsu`, the map's own threshold (see `otsu`). A network is
    rarely calibrated on photographs unlike its training data; the CRF would then wipe out what its map shows."""

    def __post_init__(self) -> None:
        if self.neutral not in NEUTRALS:
            raise UserError(f"crf.neutral: {self.neutral!r} is none of {', '.join(NEUTRALS)}")
        for field in dataclasses.fields(self):
            if field.name == "neutral":
                continue
            value, at_least_0 = getattr(self, field.name), field.name.endswith("weight") or field.name == "iterations"
            if not math.isfinite(value) or value < 0 or (value == 0 and not at_least_0):
                raise UserError(f"crf.{field.name}: {value} must be {'at least' if at_least_0 else 'above'} 0")

    @property
    def without_weights(self) -> Self:
        """What a lattice depends on, and how often it is used: the same for parameters that can share it."""
        return dataclasses.replace(self, bilateral_weight=1.0, smoothness_weight=1.0, neutral="half")

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> Self:
        """The parameters in a configuration's `crf` section, ignoring its other fields (`backend`)."""
        return cls(**{field.name: section[field.name] for field in dataclasses.fields(cls) if field.name in section})


def usable(backend: str) -> str:
    """The backend that refines where a configuration names this one: `jax` in place of one that is not installed.

    A line on stderr says so, once per process.

    Raises:
      UserError: no such backend.
    """
    _check_known(backend)
    if backend in ("none", "jax"):  # Always there, and whoever scores maps again has no use for JAX.
        return backend
    try:
        backend_module(backend)
    except UserError:
        _say_once(f"crf.backend: {backend} is not installed, so jax refines the maps")
        return "jax"
    return backend


def _check_known(backend: str) -> None:
    if backend not in ("none", *BACKENDS):
        raise UserError(f"crf.backend: {backend!r} is not known, choose from none, {', '.join(BACKENDS)}")


@functools.cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)


def backend_module(backend: str) -> Any:
    """The module of a backend, whose requirements are checked immediately, before any network runs.

    Raises:
      UserError: there is no such backend, or it is not installed.
    """
    _check_known(backend)
    module = importlib.import_module(BACKENDS[backend])
    module.require()
    return module


def refine(
    backend: str,
    image: UInt8[np.ndarray, "height width 3"],
    probability: Float32[np.ndarray, "height width"],
    parameters: CrfParameters,
) -> Float32[np.ndarray, "height width"]:
    """The marginal probability that a pixel is spliced, given the map and the image; in [0, 1].

    Args:
      backend: a name of `BACKENDS`, or "none".
      image: the photograph that the map belongs to.
      probability: higher = more likely spliced, in [0, 1].
      parameters: weights and widths; widths are in pixels of the image as given, even if it is reduced.

    Raises:
      UserError: the backend is unknown or not installed.
      ValueError: map and image differ in size, or the map holds NaN.
    """
    if backend == "none":
        return probability
    if (gathering := current()) is not None:
        return gathering.refine((backend, parameters), image, probability)
    module = backend_module(backend)
    return _enlarged(module.refine(*_reduced(image, probability, parameters)), probability.shape)


def refine_batch(
    backend: str,
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    parameters: CrfParameters,
) -> list[Float32[np.ndarray, "height width"]]:
    """`refine` of several images, of any sizes; those of nearly one size at once where the backend gains by it."""
    if backend == "none":
        return list(probabilities)
    module = backend_module(backend)
    jobs = [_reduced(*pair, parameters) for pair in zip(images, probabilities, strict=True)]
    found: list[Any] = [None] * len(jobs)
    for scaled in dict.fromkeys(job.parameters for job in jobs):
        chosen = [number for number, job in enumerate(jobs) if job.parameters == scaled]
        refined = module.refine_batch(*zip(*(jobs[number][:2] for number in chosen), strict=True), scaled)
        for number, map_ in zip(chosen, refined, strict=True):
            found[number] = _enlarged(map_, probabilities[number].shape)
    return found


def batch_size(backend: str) -> int:
    """How many images `refine_batch` gains by refining at a time; 1 where it gains nothing."""
    return 1 if backend == "none" else backend_module(backend).batch_size()


def gathering() -> Gathering:
    """For threads that call `refine`: what they ask for at a time is refined by one `refine_batch`."""
    return Gathering(lambda kind, images, maps: refine_batch(kind[0], images, maps, kind[1]))


def refine_trials(
    backend: str,
    image: UInt8[np.ndarray, "height width 3"],
    probability: Float32[np.ndarray, "height width"],
    trials: Sequence[CrfParameters],
) -> list[Float32[np.ndarray, "height width"]]:
    """`refine` by several parameters, which differ in weights and `neutral` only: one lattice serves all of them.

    Raises:
      ValueError: widths, steps or megapixels differ.
    """
    if len({each.without_weights for each in trials}) > 1:
        raise ValueError("the trials differ in more than weights and neutral")
    if backend == "none":
        return [probability] * len(trials)
    module = backend_module(backend)
    jobs = [_reduced(image, probability, parameters) for parameters in trials]
    refined = module.refine_trials(jobs[0].image, [job.probability for job in jobs], [job.parameters for job in jobs])
    return [_enlarged(map_, probability.shape) for map_ in refined]


class _Job(NamedTuple):
    """What a backend is given."""

    image: UInt8[np.ndarray, "height width 3"]
    probability: Float32[np.ndarray, "height width"]
    parameters: CrfParameters


def _reduced(image: np.ndarray, probability: np.ndarray, parameters: CrfParameters) -> _Job:
    """Checked, recentred where the parameters ask for it, and at most as large as they allow."""
    if image.shape != (*probability.shape, 3):
        raise ValueError(f"a map of shape {probability.shape} does not belong to an image of shape {image.shape}")
    if np.isnan(probability).any():
        raise ValueError("the probability map holds NaN")
    if parameters.neutral == "otsu":
        probability = _recentred(probability, otsu(probability))
    height, width = probability.shape
    ratio = math.sqrt(parameters.max_megapixels * 1e6 / (height * width))
    if ratio >= 1:
        return _Job(image, probability, parameters)
    small = max(1, round(height * ratio)), max(1, round(width * ratio))
    reduced = _resized(image, small, "LANCZOS"), _resized(probability, small, "BILINEAR").clip(0, 1)
    return _Job(*reduced, _scaled(parameters, ratio))


def _enlarged(refined: np.ndarray, size: tuple[int, ...]) -> Float32[np.ndarray, "height width"]:
    """Back to the size of the map that was given."""
    height, width = size
    return refined if refined.shape == size else _resized(refined, (height, width), "BILINEAR").clip(0, 1)


def otsu(probability: Float32[np.ndarray, "height width"]) -> float:
    """The threshold that best separates a map's values into two groups (Otsu 1979), to within 1/256.

    The threshold is in (0, 1); 0.5 for a constant map.
    """
    shares, edges = np.histogram(probability, bins=256, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(shares)
    above = below[-1] - below
    sums = np.cumsum(shares * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sums / below - (sums[-1] - sums) / above
    between = np.nan_to_num(below * above * difference**2, posinf=0)
    return float(edges[1:][np.argmax(between)]) if between.any() else 0.5


def _recentred(probability: np.ndarray, neutral: float) -> Float32[np.ndarray, "height width"]:
    """Rescales the odds so that the neutral probability becomes one half."""
    clipped = np.clip(probability.astype(np.float64), CLIP, 1 - CLIP)
    odds = clipped / (1 - clipped) * (1 - neutral) / neutral
    return (odds / (1 + odds)).astype(np.float32)


def _resized(pixels: np.ndarray, size: tuple[int, int], resampling: str) -> np.ndarray:
    from PIL import Image  # Only here, so that whoever infers without `refine` does without Pillow.

    height, width = size
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling[resampling]))


def _scaled(parameters: CrfParameters, ratio: float) -> CrfParameters:
    """The same widths, in pixels of an image scaled by `ratio`."""
    return dataclasses.replace(
        parameters,
        bilateral_position_std=parameters.bilateral_position_std * ratio,
        smoothness_position_std=parameters.smoothness_position_std * ratio,
    )
