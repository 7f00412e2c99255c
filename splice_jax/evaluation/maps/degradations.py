"""What may happen to a photograph after it was spliced: compression, blur, noise, a change of size, or being shared.

`jpeg:90,70,50;blur:1,2;noise:4,8;resize:0.75,0.5` names nine degradations; a screenshot is a `resize`, since its result
is stored without loss. The whole chain, network and CRF, only sees
the degraded image; if its size differs, the map is resized to the mask, never the mask to the map.
"""

import math
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.errors import UserError
from splice_jax.images import read_image, resize

Pixels = UInt8[np.ndarray, "height width 3"]


class Degradation(NamedTuple):
    """One kind of degradation at one strength."""

    kind: str
    strength: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.strength:g}"

    @property
    def folder(self) -> str:
        """The name of its folder of maps."""
        return f"{self.kind}-{self.strength:g}"


class Kind(NamedTuple):
    """A kind of degradation: what its strength means, its range, and whether smaller strengths degrade more."""

    title: str
    least: float
    most: float
    whole: bool
    falling: bool
    none: float | None
    """The strength that changes nothing; None if every strength changes something."""


KINDS = {
    "jpeg": Kind("JPEG quality (4:2:0)", 1, 100, whole=True, falling=True, none=None),
    "blur": Kind("Gaussian blur, σ in pixels", 0.01, 100, whole=False, falling=False, none=0.0),
    "noise": Kind("Gaussian noise, σ in levels of 0…255", 0.01, 255, whole=False, falling=False, none=0.0),
    "resize": Kind("size, as a share of each side", 0.05, 4, whole=False, falling=True, none=1.0),
    "shared": Kind("size as a share of each side, then JPEG 75", 0.05, 1, whole=False, falling=True, none=None),
}


SHARED_QUALITY = 75
"""Of the JPEG that a picture becomes when it is shared: about what social networks store."""


def parse(text: str) -> tuple[Degradation, ...]:
    """The degradations named by the field `degradations`, in order; none if it is empty.

    >>> [str(degradation) for degradation in parse("jpeg:90,70; blur:1.5")]
    ['jpeg:90', 'jpeg:70', 'blur:1.5']

    Raises:
      UserError: not in the form KIND:STRENGTH,STRENGTH;KIND:…, an unknown kind, or a strength out of range or repeated.
    """
    found: list[Degradation] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        kind, colon, strengths = (piece.strip() for piece in part.partition(":"))
        if kind not in KINDS:
            raise UserError(f"config.degradations: {kind!r} is none of {', '.join(KINDS)}; write {_EXAMPLE}")
        if not colon or not strengths:
            raise UserError(f"config.degradations: {part!r} names no strength; write {_EXAMPLE}")
        found += [Degradation(kind, _strength(kind, word.strip())) for word in strengths.split(",")]
    twice = [str(degradation) for index, degradation in enumerate(found) if degradation in found[:index]]
    if twice:
        raise UserError(f"config.degradations: {twice[0]} stands there twice; name it once")
    return tuple(found)


_EXAMPLE = "for example jpeg:90,70;blur:1,2;noise:4;resize:0.5"


def _strength(kind: str, word: str) -> float:
    title, least, most, whole, *_ = KINDS[kind]
    try:
        value = float(int(word) if whole else float(word))
    except ValueError as error:
        number = "a whole number" if whole else "a number"
        raise UserError(f"config.degradations: {kind}:{word} is not {number} ({title}); write {_EXAMPLE}") from error
    if not (math.isfinite(value) and least <= value <= most):
        raise UserError(f"config.degradations: {kind}:{word} is not from {least:g} to {most:g} ({title})")
    return value


class Degraded(NamedTuple):
    """An image after one degradation."""

    image: UInt8[np.ndarray, "new_height new_width 3"]
    encoded: bytes = b""
    """The file it was decoded from; empty if the degradation makes none."""


def degrade(image: Pixels, degradation: Degradation, *, seed: int = 0) -> Degraded:
    """The image after one degradation; noise is seeded by the image's pixels and `seed`, so it is reproducible."""
    quality = int(degradation.strength)
    if degradation.kind == "shared":
        image, quality = _resize(image, degradation.strength, seed), SHARED_QUALITY
    if degradation.kind in ("jpeg", "shared"):
        encoded = encode_jpeg(image, quality)
        return Degraded(read_image(encoded), encoded)
    return Degraded(_DEGRADE[degradation.kind](image, degradation.strength, seed))


def _blur(image: Pixels, deviation: float, seed: int) -> Pixels:
    blurred = ndimage.gaussian_filter(image.astype(np.float32), (deviation, deviation, 0), mode="nearest")
    return np.rint(blurred).astype(np.uint8)


def _noise(image: Pixels, deviation: float, seed: int) -> Pixels:
    generator = np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(image).data)])
    noisy = image + np.float32(deviation) * generator.standard_normal(image.shape, np.float32)
    return np.rint(noisy).clip(0, 255).astype(np.uint8)


def _resize(image: Pixels, ratio: float, seed: int) -> UInt8[np.ndarray, "new_height new_width 3"]:
    height, width = image.shape[:2]
    return resize(image, (max(1, round(height * ratio)), max(1, round(width * ratio))))


_DEGRADE: dict[str, Callable[[Pixels, float, int], Pixels]] = {
    "blur": _blur,
    "noise": _noise,
    "resize": _resize,
}
