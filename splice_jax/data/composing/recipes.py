"""What happens to host, donor and splice when a splice is composed: operations, and named recipes made of them.

Host and donor draw their histories independently from the same distribution, so that a network must learn to see that
two parts of an image differ, and not that processed means spliced.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from splice_jax.data.composing.camera import Image, blur, draw_camera, photograph, sharpen, to_uint8

FILTERS = (Pillow.Resampling.BILINEAR, Pillow.Resampling.BICUBIC, Pillow.Resampling.LANCZOS)


@dataclass(frozen=True)
class Step:
    """One operation of a history: applied with `probability`, at a strength drawn uniformly from `strength`."""

    operation: str
    probability: float
    strength: tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """How a splice is made.

    history: steps that host and donor go through independently.
    rescale, rotate, flip: probability that the part cut from the donor is rescaled by a factor from `scale` (never
    within 5 % of 1), rotated by up to `angle` degrees, or mirrored.
    feather: probability that its border is softened by a Gaussian of `feather_sigma` pixels.
    free_shape: probability that a drawn shape is cut out even if the donor's segmentation is known.
    foreground: probability that only regions not touching the donor's upper, left and right borders are cut out:
    people paste objects, not skies.
    share: bounds of the spliced share of the image.
    jpeg: probability that the splice is stored as a JPEG with a quality from `jpeg_quality`; otherwise as a PNG.
    """

    history: tuple[Step, ...] = ()
    rescale: float = 0.0
    scale: tuple[float, float] = (0.6, 1.6)
    rotate: float = 0.0
    angle: float = 20.0
    flip: float = 0.25
    feather: float = 0.5
    feather_sigma: tuple[float, float] = (0.5, 2.0)
    free_shape: float = 0.2
    foreground: float = 0.0
    share: tuple[float, float] = (0.03, 0.5)
    jpeg: float = 0.0
    jpeg_quality: tuple[int, int] = (70, 98)


def resize(image: Image, factor: float, rng: np.random.Generator) -> Image:
    """Rescaled by `factor` with one of three filters."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Pillow.fromarray(image).resize(size, FILTERS[rng.integers(len(FILTERS))]))


def jpeg(image: Image, quality: float, rng: np.random.Generator) -> Image:
    """Compressed at `quality` and decoded; whether colours are subsampled is random."""
    encoded = encode_jpeg(image, round(quality), subsampling=int(rng.choice([0, 2])))
    return np.asarray(Pillow.open(io.BytesIO(encoded)))


def encode_jpeg(image: Image, quality: int, subsampling: int = 2) -> bytes:
    """JPEG bytes; `subsampling` 0 is 4:4:4, 2 is 4:2:0."""
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def _blur(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    return to_uint8(blur(image.astype(np.float32), sigma))


def _noise(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    return to_uint8(image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32))


def _gain(image: Image, spread: float, rng: np.random.Generator) -> Image:
    return to_uint8(image * rng.uniform(1 - spread, 1 + spread, 3).astype(np.float32))


def _tone(image: Image, gamma: float, rng: np.random.Generator) -> Image:
    return to_uint8(255 * (np.arange(256, dtype=np.float32) / 255) ** gamma)[image]


def _sharpen(image: Image, amount: float, rng: np.random.Generator) -> Image:
    return sharpen(image.astype(np.float32), amount)


def _camera(image: Image, noise: float, rng: np.random.Generator) -> Image:
    return photograph(image, draw_camera(rng, noise), rng)


OPERATIONS: dict[str, Callable[[Image, float, np.random.Generator], Image]] = {
    "camera": _camera,
    "resize": resize,
    "blur": _blur,
    "sharpen": _sharpen,
    "noise": _noise,
    "gain": _gain,
    "tone": _tone,
    "jpeg": jpeg,
}

RECIPES: dict[str, Recipe] = {
    # The donor is only rescaled: the easiest trace to learn, but of little use on photographs from elsewhere.
    "rescale": Recipe(rescale=1.0, free_shape=0.0),
    # Host and donor each have their own past: a camera, and what was done to its pictures. The first resizing breaks up
    # the JPEG grid of photographs that come as JPEG, which would give away whatever was moved.
    "histories": Recipe(
        history=(
            Step("resize", 0.6, (0.7, 1.5)),
            Step("camera", 0.5, (0.1, 1.0)),
            Step("resize", 0.2, (0.75, 1.35)),
            Step("blur", 0.2, (0.4, 1.2)),
            Step("sharpen", 0.15, (0.2, 1.2)),
            Step("noise", 0.2, (1.0, 6.0)),
            Step("gain", 0.3, (0.02, 0.15)),
            Step("tone", 0.2, (0.75, 1.35)),
            Step("jpeg", 0.25, (50, 95)),
        ),
        rescale=0.4,
        rotate=0.1,
        feather=0.4,
        free_shape=0.1,
        foreground=0.9,
        jpeg=0.3,
    ),
}


def apply_history(image: Image, history: tuple[Step, ...], rng: np.random.Generator) -> tuple[Image, tuple[str, ...]]:
    """`image` after randomly chosen steps, and their names with strengths, such as "noise 2.41"."""
    done: list[str] = []
    for step in history:
        if rng.random() < step.probability:
            strength = float(rng.uniform(*step.strength))
            image = OPERATIONS[step.operation](image, strength, rng)
            done.append(f"{step.operation} {strength:.3g}")
    return image, tuple(done)
