"""Composes a splice: part of a donor photograph is cut out, moved, and pasted into a host photograph."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from splice_jax.data.composing.camera import Image, blur, to_uint8
from splice_jax.data.composing.objects import Mask, Regions, drawn_object, region_object
from splice_jax.data.composing.recipes import FILTERS, Recipe, apply_history, encode_jpeg
from splice_jax.images import nearest

ATTEMPTS = 40
MARGIN = 8
"""Extra pixels kept around a cut-out, for filters and soft borders to use."""
LARGEST_CUT = 0.6
OVERHANG = 0.2


@dataclass(frozen=True)
class Splice:
    """One composed image and how it was made.

    image: as a reader will see it, that is, after any JPEG compression.
    mask: True where the donor makes up more than half of a pixel.
    jpeg, jpeg_quality: the encoded image and its quality, or None and 0 if it is stored losslessly.
    scale, angle, feather: the donor's scale factor, its rotation in degrees, and its border's softness in pixels.
    host_history, donor_history: the operations applied to each, with their strengths.
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
    host: Image, donor: Image, regions: Regions | None, rng: np.random.Generator, recipe: Recipe
) -> Splice:
    """Pastes an object from `donor` into `host` according to `recipe`.

    Args:
      host, donor: photographs of at least 64 x 64 pixels.
      regions: segmentation of the donor, a number per pixel; None to cut out drawn shapes.
      rng: the only source of randomness: the same state gives the same splice.

    Returns:
      a splice of the size the host has after its history, with a spliced share within `recipe.share`.

    Raises:
      ValueError: the donor is too small to cover that share of the host.
    """
    host, host_history = apply_history(host, recipe.history, rng)
    donor, donor_history = apply_history(donor, recipe.history, rng)
    if regions is not None:
        regions = nearest(regions, donor.shape[:2])
    shape, move = _placed_object(host.shape[:2], donor.shape[:2], regions, rng, recipe)
    feather = float(rng.uniform(*recipe.feather_sigma)) if rng.random() < recipe.feather else 0.0
    image, mask = _paste(host, donor, shape, move, feather)
    jpeg, quality = None, 0
    if rng.random() < recipe.jpeg:
        quality = int(rng.integers(recipe.jpeg_quality[0], recipe.jpeg_quality[1] + 1))
        jpeg = encode_jpeg(image, quality, subsampling=int(rng.choice([0, 2])))
        image = np.array(Pillow.open(io.BytesIO(jpeg)))
    return Splice(image, mask, jpeg, quality, move.scale, move.angle, feather, host_history, donor_history)


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


def _paste(host: Image, donor: Image, shape: Mask, move: _Move, feather: float) -> tuple[Image, Mask]:
    mask = _moved_mask(shape, move)
    within, part = _overlap(mask, move.top, move.left, host.shape[:2])
    cut = _overlap(_moved_image(donor, shape, move), move.top, move.left, host.shape[:2])[1]
    alpha = np.zeros(host.shape[:2], np.float32)
    alpha[within] = part
    alpha = blur(alpha, feather)
    image = host.copy()
    opacity = alpha[within][..., None]
    image[within] = to_uint8(host[within] * (1 - opacity) + cut * opacity)
    return image, alpha > 0.5


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
