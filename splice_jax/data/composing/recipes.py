"""What happens to host, donor and splice when a splice is composed: operations, and named recipes made of them.

Host and donor draw their histories independently from the same distribution, so that a network must learn to see that
two parts of an image differ, and not that processed means spliced.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image as Pillow

from splice_jax.data.composing.camera import Image, blur, draw_camera, photograph, sharpen, to_uint8
from splice_jax.data.composing.objects import Mask

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
    past: steps that the finished picture goes through as a whole.
    jpeg: probability that it is then stored as a JPEG with a quality from `jpeg_quality`; otherwise as a PNG.

    kind: `splice`; `jitter`: one object of the host itself gets a past of its own, `object_history`, and stays in its
    place, and the same picture without it is kept as an authentic twin, so that content cannot tell; `authentic`: a
    host with its past and no splice; `untouched`: the photograph's own file.
    more: probability of one more splice, again and again.
    backdrop: probability that a sky or another region along the upper border is replaced, instead of an object pasted.
    wide_feather: probability that a soft border is soft over up to 10 pixels. gradient: probability that the cut-out is
    blended in the gradient domain. matched: probability that its tone is matched to the host's.
    side: shortest and longest side, in pixels, that photographs are cropped to. on_grid: probability that a crop starts
    on the photograph's own grid of 8 x 8 blocks, as whole photographs do.
    """

    kind: Literal["splice", "jitter", "authentic", "untouched"] = "splice"

    history: tuple[Step, ...] = ()
    object_history: tuple[Step, ...] = ()
    past: tuple[Step, ...] = ()
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
    more: float = 0.0
    backdrop: float = 0.0
    wide_feather: float = 0.0
    gradient: float = 0.0
    matched: float = 0.0
    side: tuple[int, int] = (1024, 1024)
    on_grid: float = 0.0


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


def _resample(image: Image, factor: float, rng: np.random.Generator) -> Image:
    """Scaled by `factor` and back again, so that everything stays in its place."""
    height, width = image.shape[:2]
    there = resize(image, factor, rng)
    return np.asarray(Pillow.fromarray(there).resize((width, height), FILTERS[rng.integers(len(FILTERS))]))


def _shift(image: Image, most: float, rng: np.random.Generator) -> Image:
    """Moved by 1 to 7 pixels along each axis: the block grid goes along."""
    return np.roll(image, rng.integers(1, 8, 2).tolist(), (0, 1))


OPERATIONS: dict[str, Callable[[Image, float, np.random.Generator], Image]] = {
    "camera": _camera,
    "resize": resize,
    "resample": _resample,
    "shift": _shift,
    "blur": _blur,
    "sharpen": _sharpen,
    "noise": _noise,
    "gain": _gain,
    "tone": _tone,
    "jpeg": jpeg,
}

_CAMERA_PAST = (
    Step("resize", 0.6, (0.7, 1.5)),
    Step("camera", 0.5, (0.1, 1.0)),
    Step("resize", 0.2, (0.75, 1.35)),
    Step("blur", 0.2, (0.4, 1.2)),
    Step("sharpen", 0.15, (0.2, 1.2)),
    Step("noise", 0.2, (1.0, 6.0)),
    Step("gain", 0.3, (0.02, 0.15)),
    Step("tone", 0.2, (0.75, 1.35)),
    Step("jpeg", 0.25, (50, 95)),
)
_EDITED_PAST = (
    Step("resize", 0.35, (0.45, 1.0)),
    Step("sharpen", 0.1, (0.2, 1.0)),
    Step("gain", 0.3, (0.02, 0.12)),
    Step("tone", 0.2, (0.8, 1.25)),
    Step("jpeg", 0.35, (60, 96)),
)
_LIGHT_PAST = (
    Step("gain", 0.3, (0.02, 0.1)),
    Step("tone", 0.2, (0.85, 1.2)),
    Step("blur", 0.1, (0.4, 0.9)),
    Step("jpeg", 0.25, (60, 96)),
)
_PUBLISHED_PAST = (
    Step("resize", 0.7, (0.35, 0.9)),
    Step("sharpen", 0.15, (0.2, 1.0)),
    Step("jpeg", 0.9, (65, 97)),
)
_COMMON_PAST = (Step("resize", 0.3, (0.5, 0.95)), Step("jpeg", 0.12, (60, 97)))
"""What becomes of a picture on its way through the web, before it is stored once more."""

_CROPPED = Recipe(side=(320, 560), on_grid=0.85, free_shape=0.1, foreground=0.9)
_WEB = replace(
    _CROPPED,
    history=_EDITED_PAST,
    past=_COMMON_PAST,
    jpeg=0.75,
    jpeg_quality=(60, 99),
    rescale=0.6,
    scale=(0.4, 1.5),
    rotate=0.15,
    feather=0.6,
    share=(0.01, 0.45),
    more=0.25,
    backdrop=0.08,
    wide_feather=0.2,
    gradient=0.05,
    matched=0.2,
)
_PUBLISHED = replace(_WEB, history=_PUBLISHED_PAST, past=(), jpeg=0.85, side=(480, 1024))

RECIPES: dict[str, Recipe] = {
    # The donor is only rescaled: the easiest trace to learn, but of little use on photographs from elsewhere.
    "rescale": Recipe(rescale=1.0, free_shape=0.0),
    # Host and donor each have their own past: a camera, and what was done to its pictures. The first resizing breaks up
    # the JPEG grid of photographs that come as JPEG, which would give away whatever was moved.
    "histories": Recipe(
        history=_CAMERA_PAST, rescale=0.4, rotate=0.1, feather=0.4, free_shape=0.1, foreground=0.9, jpeg=0.3
    ),
    # Host and donor have few pasts or none; the finished picture has one as a whole, as on the web.
    "web": _WEB,
    # The same with next to nothing done to host and donor: their own JPEG grids and cameras are what tells.
    "light": replace(_WEB, history=_LIGHT_PAST, rescale=0.5, scale=(0.5, 1.5), rotate=0.1, feather=0.5),
    # Both were published before: made smaller and compressed, each on its own. The splice is stored once more, seldom
    # resized: what is made of pictures found on the web.
    "published": replace(
        _PUBLISHED,
        past=(Step("resize", 0.1, (0.6, 0.95)),),
        rescale=0.5,
        feather=0.5,
        wide_feather=0.1,
        share=(0.005, 0.45),
    ),
    "jitter": replace(
        _WEB,
        kind="jitter",
        history=_LIGHT_PAST,
        object_history=(
            Step("resample", 0.5, (0.55, 1.6)),
            *(step for step in _CAMERA_PAST if step.operation != "resize"),
            Step("shift", 0.3, (1, 8)),
        ),
        share=(0.02, 0.4),
        free_shape=0.2,
        foreground=0.8,
    ),
    "authentic_histories": replace(_WEB, kind="authentic", history=_CAMERA_PAST),
    "authentic_web": replace(_WEB, kind="authentic"),
    "authentic_light": replace(_WEB, kind="authentic", history=_LIGHT_PAST),
    "authentic_published": replace(_PUBLISHED, kind="authentic"),
    "untouched": replace(_CROPPED, kind="untouched"),
    # As `histories`, cropped like the other parts of `wild` and with several splices in some.
    "wild_histories": replace(
        _CROPPED,
        history=_CAMERA_PAST,
        rescale=0.4,
        rotate=0.1,
        feather=0.4,
        jpeg=0.4,
        jpeg_quality=(60, 98),
        share=(0.02, 0.45),
        more=0.25,
        matched=0.1,
    ),
}
"""Recipes by name."""

MIXTURES: dict[str, dict[str, float]] = {
    "wild": {
        "wild_histories": 0.09,
        "web": 0.12,
        "light": 0.12,
        "published": 0.26,
        "jitter": 0.12,
        "authentic_histories": 0.04,
        "authentic_web": 0.05,
        "authentic_light": 0.05,
        "authentic_published": 0.08,
        "untouched": 0.07,
    }
}
"""Shares of recipes, by the mixture's name."""

SMALLEST_RESULT = 96
"""A finished picture is not scaled below this, in pixels along a side."""


def apply_history(image: Image, history: tuple[Step, ...], rng: np.random.Generator) -> tuple[Image, tuple[str, ...]]:
    """`image` after randomly chosen steps, and their names with strengths, such as "noise 2.41"."""
    done: list[str] = []
    for step in history:
        if rng.random() < step.probability:
            strength = float(rng.uniform(*step.strength))
            image = OPERATIONS[step.operation](image, strength, rng)
            done.append(f"{step.operation} {strength:.3g}")
    return image, tuple(done)


def apply_past(
    image: Image, mask: Mask, past: tuple[Step, ...], rng: np.random.Generator
) -> tuple[Image, Mask, tuple[str, ...]]:
    """As `apply_history`, for a picture and its mask, which is resized along; never below `SMALLEST_RESULT`."""
    smallest = SMALLEST_RESULT / min(image.shape[:2])
    fitting = tuple(
        replace(step, strength=(max(step.strength[0], smallest), max(step.strength[1], smallest)))
        if step.operation == "resize"
        else step
        for step in past
    )
    image, done = apply_history(image, fitting, rng)
    if image.shape[:2] != mask.shape:
        height, width = image.shape[:2]
        grey = Pillow.fromarray(mask.astype(np.uint8) * np.uint8(255))
        mask = np.asarray(grey.resize((width, height), Pillow.Resampling.BILINEAR)) > 127
    return image, mask, done
