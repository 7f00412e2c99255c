"""Composes a splice: part of a donor photograph is cut out, moved, and pasted into a host photograph."""

import copy
import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as Pillow

from splice_jax.data.composing.blending import Alpha, blend, gradient_domain, match_tone, soft
from splice_jax.data.composing.camera import Image
from splice_jax.data.composing.objects import Mask, Regions, drawn_object, region_object
from splice_jax.data.composing.recipes import FILTERS, Recipe, apply_history, apply_past, encode_jpeg
from splice_jax.images import nearest

ATTEMPTS = 40
MARGIN = 8
"""Extra pixels kept around a cut-out, for filters and soft borders to use."""
LARGEST_CUT = 0.6
OVERHANG = 0.2
SKY = (0.1, 0.5)
"""Bounds of a sky's share of the image."""


@dataclass(frozen=True)
class Splice:
    """One composed image and how it was made.

    image: as a reader will see it, that is, after any JPEG compression.
    mask: True where the donor makes up more than half of a pixel.
    jpeg, jpeg_quality: the encoded image and its quality, or None and 0 if it is stored losslessly.
    scale, angle, feather: the donor's scale factor, its rotation in degrees, and its border's softness in pixels.
    host_history, donor_history: the operations applied to each, with their strengths, and what the finished picture
    went through.
    twin: the same picture without the splice, as an encoded image, where the recipe makes one.
    """

    image: Image
    mask: Mask
    jpeg: bytes | None
    jpeg_quality: int
    scale: float
    angle: float
    feather: float
    host_history: tuple[str, ...]
    donor_history: tuple[str, ...]
    twin: bytes | None = None

    def encoded_image(self) -> bytes:
        """The bytes of the JPEG, or of a PNG."""
        return self.jpeg or _png(self.image)

    def encoded_mask(self) -> bytes:
        """The bytes of a PNG, 255 = spliced."""
        return _png(self.mask.astype(np.uint8) * np.uint8(255))


def _png(pixels: np.ndarray) -> bytes:
    """Light compression only: anything more would take most of the time of composing."""
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@dataclass(frozen=True)
class _Move:
    """How a cut-out is transferred to the host: scale, rotation, mirroring, interpolation, and position."""

    scale: float
    angle: float
    mirrored: bool
    filter: Pillow.Resampling
    top: int = 0
    left: int = 0


def compose_splice(
    host: Image,
    donor: Image,
    regions: Regions | None,
    rng: np.random.Generator,
    recipe: Recipe,
    *,
    host_regions: Regions | None = None,
) -> Splice:
    """Pastes an object from `donor` into `host` according to `recipe`.

    Args:
      host, donor: photographs of at least 64 x 64 pixels.
      regions: segmentation of the donor, a number per pixel; None to cut out drawn shapes.
      rng: the only source of randomness: the same state gives the same splice.
      recipe: of the kind `splice`.
      host_regions: segmentation of the host, by which a sky is replaced; None for a drawn horizon.

    Returns:
      a splice of the size the host has after its history, unless the finished picture is resized, with a spliced share
      within `recipe.share` where there is one object.

    Raises:
      ValueError: the donor is too small to cover that share of the host.
    """
    host, host_history = apply_history(host, recipe.history, rng)
    donor, donor_history = apply_history(donor, recipe.history, rng)
    if recipe.backdrop and rng.random() < recipe.backdrop:
        shape = _sky(host.shape[:2], host_regions, rng)
        return _finished(*_backdrop(host, donor, shape, rng, recipe), recipe, rng, (host_history, donor_history))
    if regions is not None:
        regions = nearest(regions, donor.shape[:2])
    image, mask, move, feather = _with_object(host, donor, regions, rng, recipe)
    while recipe.more and rng.random() < recipe.more and mask.mean() < recipe.share[1] / 2:
        image, further, _, _ = _with_object(image, donor, regions, rng, replace(recipe, share=_smaller(recipe.share)))
        mask = mask | further
    return _finished(image, mask, recipe, rng, (host_history, donor_history), move, feather)


def compose_jitter(host: Image, regions: Regions | None, rng: np.random.Generator, recipe: Recipe) -> Splice:
    """One object of a photograph goes through a past of its own and stays in its place; `twin` is without it.

    Args:
      host: a photograph of at least 64 x 64 pixels.
      regions: its segmentation, or None for a drawn shape.
      rng: the only source of randomness.
      recipe: of the kind `jitter`.
    """
    base, host_history = apply_history(host, recipe.history, rng)
    share = float(np.exp(rng.uniform(*np.log(recipe.share))))
    shape = None
    if regions is not None and rng.random() >= recipe.free_shape:
        shape = region_object(regions, share, rng, foreground=rng.random() < recipe.foreground)
    if shape is None:
        shape = drawn_object(host.shape[0], host.shape[1], share, rng)
    changed, history = base, tuple[str, ...]()
    while not any(step.split()[0] not in _TONES for step in history):  # at least one thing that leaves a trace
        changed, history = apply_history(host, recipe.object_history, rng)
    feather = _draw_feather(recipe, rng)
    alpha = _opacity(shape, feather)
    image, mask = blend(base, changed, alpha), alpha > 0.5
    twin_rng = copy.deepcopy(rng)
    splice = _finished(image, mask, recipe, rng, (host_history, history), feather=feather)
    twin = _finished(base, np.zeros_like(mask), recipe, twin_rng, (host_history, ()))
    return replace(splice, twin=twin.encoded_image())


def compose_authentic(host: Image, rng: np.random.Generator, recipe: Recipe) -> Splice:
    """A photograph that goes through the same pasts as a splice, with an empty mask."""
    image, history = apply_history(host, recipe.history, rng)
    return _finished(image, np.zeros(image.shape[:2], bool), recipe, rng, (history, ()))


_TONES = ("gain", "tone")
"""Operations that every pixel goes through alone, which leave hardly a trace."""


def _finished(
    image: Image,
    mask: Mask,
    recipe: Recipe,
    rng: np.random.Generator,
    histories: tuple[tuple[str, ...], tuple[str, ...]],
    move: "_Move | None" = None,
    feather: float = 0.0,
) -> Splice:
    """The picture after its past as a whole, stored as the recipe says."""
    image, mask, past = apply_past(image, mask, recipe.past, rng)
    jpeg, quality = None, 0
    if rng.random() < recipe.jpeg:
        quality = int(rng.integers(recipe.jpeg_quality[0], recipe.jpeg_quality[1] + 1))
        jpeg = encode_jpeg(image, quality, subsampling=int(rng.choice([0, 2])))
        image = np.array(Pillow.open(io.BytesIO(jpeg)))
    scale, angle = (move.scale, move.angle) if move else (1.0, 0.0)
    first, second = histories
    whole = tuple(f"whole {step}" for step in past)
    return Splice(image, mask, jpeg, quality, scale, angle, feather, (*first, *whole), second)


def _smaller(share: tuple[float, float]) -> tuple[float, float]:
    return share[0], min(0.2, share[1])


def _draw_feather(recipe: Recipe, rng: np.random.Generator) -> float:
    """Standard deviation of a soft border in pixels; 0 for a hard one."""
    if rng.random() >= recipe.feather:
        return 0.0
    if recipe.wide_feather and rng.random() < recipe.wide_feather:
        return float(rng.uniform(recipe.feather_sigma[1], 10))
    return float(rng.uniform(*recipe.feather_sigma))


def _with_object(
    host: Image, donor: Image, regions: Regions | None, rng: np.random.Generator, recipe: Recipe
) -> "tuple[Image, Mask, _Move, float]":
    shape, move = _placed_object(host.shape[:2], donor.shape[:2], regions, rng, recipe)
    feather = _draw_feather(recipe, rng)
    mask = _moved_mask(shape, move)
    within, part = _overlap(mask, move.top, move.left, host.shape[:2])
    placed, pasted = host.copy(), np.zeros(host.shape[:2], bool)
    placed[within] = _overlap(_moved_image(donor, shape, move), move.top, move.left, host.shape[:2])[1]
    pasted[within] = part
    image, mask = _pasted(host, placed, pasted, feather, recipe, rng)
    return image, mask, move, feather


def _pasted(
    host: Image, placed: Image, shape: Mask, feather: float, recipe: Recipe, rng: np.random.Generator
) -> tuple[Image, Mask]:
    if recipe.matched and rng.random() < recipe.matched:
        placed = match_tone(placed, shape, host, float(rng.uniform(0.5, 1)))
    if recipe.gradient and rng.random() < recipe.gradient:
        return gradient_domain(host, placed, shape), shape
    alpha = _opacity(shape, feather)
    return blend(host, placed, alpha), alpha > 0.5


def _opacity(shape: Mask, feather: float) -> Alpha:
    """Of a soft border, or of a hard one where softness would leave no pixel mostly pasted."""
    alpha = soft(shape, feather)
    return alpha if (alpha > 0.5).any() else soft(shape, 0.0)


def _backdrop(host: Image, donor: Image, shape: Mask, rng: np.random.Generator, recipe: Recipe) -> tuple[Image, Mask]:
    """The host with another photograph, large enough to cover it, in place of its sky."""
    height, width = host.shape[:2]
    scale = max(height / donor.shape[0], width / donor.shape[1], float(rng.uniform(0.6, 1.2)))
    size = max(width, round(donor.shape[1] * scale)), max(height, round(donor.shape[0] * scale))
    scaled = np.asarray(Pillow.fromarray(donor).resize(size, FILTERS[rng.integers(len(FILTERS))]))
    top, left = (
        int(rng.integers(0, most - side + 1)) for most, side in zip(scaled.shape, (height, width), strict=False)
    )
    placed = scaled[top : top + height, left : left + width]
    return _pasted(host, placed, shape, _draw_feather(recipe, rng), recipe, rng)


def _sky(size: tuple[int, ...], regions: Regions | None, rng: np.random.Generator) -> Mask:
    """A region along the upper border, or what is above a drawn horizon."""
    if regions is not None:
        regions = nearest(regions, size)
        upper, areas = np.unique(regions[0], return_counts=True)
        shape = regions == upper[np.argmax(areas)]
        if SKY[0] <= shape.mean() <= SKY[1]:
            return shape
    height, width = size
    x = np.linspace(0, 2 * np.pi, width)
    waves = sum(rng.uniform(0, 0.05) * np.cos(order * x + rng.uniform(0, 2 * np.pi)) for order in range(1, 5))
    horizon = height * (rng.uniform(SKY[0] + 0.1, SKY[1] - 0.1) + waves)
    return np.arange(height)[:, None] < horizon


def _placed_object(
    host_size: tuple[int, ...],
    donor_size: tuple[int, ...],
    regions: Regions | None,
    rng: np.random.Generator,
    recipe: Recipe,
) -> tuple[Mask, _Move]:
    """An object's mask in the donor, and a move by which it covers an allowed share of the host."""
    if rng.random() < recipe.free_shape:
        regions = None
    foreground = recipe.foreground > 0 and rng.random() < recipe.foreground
    for attempt in range(ATTEMPTS):
        move = _draw_move(rng, recipe)
        share = rng.uniform(*recipe.share)
        area = min(float(share * np.prod(host_size) / np.prod(donor_size)) / move.scale**2, LARGEST_CUT)
        if regions is not None and attempt < ATTEMPTS // 2:
            shape = region_object(regions, area, rng, foreground=foreground)
        else:
            shape = drawn_object(donor_size[0], donor_size[1], area, rng)
        if shape is None:
            continue
        mask = _moved_mask(shape, move)
        top, left = (_offset(part, whole, rng) for part, whole in zip(mask.shape, host_size, strict=True))
        covered = np.count_nonzero(_overlap(mask, top, left, host_size)[1]) / np.prod(host_size)
        if recipe.share[0] <= covered <= recipe.share[1]:
            return shape, _Move(move.scale, move.angle, move.mirrored, move.filter, top, left)
    raise ValueError(f"no part of a donor of {donor_size} pixels covers {recipe.share} of a host of {host_size}")


def _draw_move(rng: np.random.Generator, recipe: Recipe) -> _Move:
    scale = 1.0
    if rng.random() < recipe.rescale:
        while abs(scale - 1) < 0.05:
            scale = float(rng.uniform(*recipe.scale))
    angle = float(rng.uniform(-recipe.angle, recipe.angle)) if rng.random() < recipe.rotate else 0.0
    return _Move(scale, angle, bool(rng.random() < recipe.flip), FILTERS[rng.integers(len(FILTERS))])


def _offset(part: int, whole: int, rng: np.random.Generator) -> int:
    """Where a cut-out starts along one axis: anywhere, with up to a fifth of it beyond the border."""
    low, high = sorted((-int(OVERHANG * part), whole - part + int(OVERHANG * part)))
    return int(rng.integers(low, high + 1))


def _overlap(cut: np.ndarray, top: int, left: int, size: tuple[int, ...]) -> tuple[tuple[slice, slice], np.ndarray]:
    """The part of an image of `size` that a cut-out covers, as an index, and the matching part of the cut-out."""
    height, width = cut.shape[:2]
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + height, size[0]), min(left + width, size[1])
    return np.s_[y0:y1, x0:x1], cut[y0 - top : y1 - top, x0 - left : x1 - left]


def _bounds(shape: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the object's bounding box with its margin, which may lie outside the image."""
    rows, columns = (np.flatnonzero(shape.any(axis=axis)) for axis in (1, 0))
    return (
        np.arange(rows[0] - MARGIN, rows[-1] + MARGIN + 1),
        np.arange(columns[0] - MARGIN, columns[-1] + MARGIN + 1),
    )


def _moved_mask(shape: Mask, move: _Move) -> Mask:
    rows, columns = _bounds(shape)
    padded = np.pad(shape, MARGIN)
    cut = padded[rows[0] + MARGIN : rows[-1] + MARGIN + 1, columns[0] + MARGIN : columns[-1] + MARGIN + 1]
    grey = Pillow.fromarray(cut.astype(np.uint8) * np.uint8(255))
    return _moved(grey, move, Pillow.Resampling.BILINEAR) > 127


def _moved_image(donor: Image, shape: Mask, move: _Move) -> Image:
    rows, columns = (
        np.clip(index, 0, length - 1) for index, length in zip(_bounds(shape), donor.shape[:2], strict=True)
    )
    return _moved(Pillow.fromarray(donor[np.ix_(rows, columns)]), move, move.filter)


def _moved(cut: Pillow.Image, move: _Move, interpolation: Pillow.Resampling) -> np.ndarray:
    if move.scale != 1:
        cut = cut.resize((round(cut.width * move.scale), round(cut.height * move.scale)), interpolation)
    if move.angle:
        turning = min(interpolation, Pillow.Resampling.BICUBIC, key=lambda known: known == Pillow.Resampling.LANCZOS)
        cut = cut.rotate(move.angle, turning, expand=True)
    if move.mirrored:
        cut = cut.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(cut)
