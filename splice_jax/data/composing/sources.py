"""The photographs that splices are composed from: found in folders, and read with their segmentations."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from splice_jax.data.composing.camera import Image
from splice_jax.data.composing.objects import Regions
from splice_jax.data.composing.photographs import content, photographs_in, refuse_small, usable
from splice_jax.data.composing.splicing import Splice
from splice_jax.errors import UserError
from splice_jax.files import read_bytes
from splice_jax.images import read_image

GRID = 8
"""Side of a JPEG's blocks."""
JPEG_START = b"\xff\xd8"


@dataclass(frozen=True)
class Source:
    """A photograph, the digest of its file, and its segmentation, if there is one."""

    photo: Path
    content: str
    regions: Path | None = None


def find_sources(
    photos: Path | Sequence[Path], regions: Path | Sequence[Path] | None = None, half: int | None = None
) -> tuple[Source, ...]:
    """The photographs in folders in order of name, without duplicates, with their segmentations, where they have one.

    Those that cannot be used are named and left out.

    Args:
      photos: a folder, or several.
      regions: folders of segmentations, as many as of photographs, or None.
      half: 0 or 1 keeps the photographs whose names' hash is even or odd; None keeps all.

    Raises:
      UserError: there are no photographs, none in that half, a folder of segmentations has none for them, or there are
        not as many folders of one as of the other.
    """
    folders = [photos] if isinstance(photos, Path) else list(photos)
    none: list[Path | None] = [None] * len(folders)
    segmented = [regions] if isinstance(regions, Path) else list(regions or none)
    if len(segmented) != len(folders):
        raise UserError(f"regions: {len(segmented)} folders for {len(folders)} of photographs; give as many")
    found: dict[str, Source] = {}
    for pair in zip(folders, segmented, strict=True):
        for source in _sources_in(*pair):
            found.setdefault(source.content, source)  # One photograph may lie in several folders.
    kept = tuple(source for source in found.values() if _in_half(source, half))
    if not kept:
        raise UserError(f"half: {half} holds none of {len(found)} photographs; add photographs or take the other half")
    return kept


def _sources_in(photos: Path, regions: Path | None) -> list[Source]:
    readable = list(usable(photographs_in(photos, "photographs")))
    if not readable:
        raise UserError(f"{photos}: none of its photographs can be used; the lines above say why")
    unique = {digest: path for path, digest in reversed(readable)}
    kept = sorted((path, digest) for digest, path in unique.items())
    if regions is None:
        return [Source(path, digest) for path, digest in kept]
    segmentations = {path.stem: path for path in photographs_in(regions, "segmentations")}
    found = [Source(path, digest, segmentations.get(path.stem)) for path, digest in kept]
    if not any(source.regions for source in found):
        raise UserError(f"{regions}: no segmentation of a photograph in {photos}; their stems must be equal")
    return found


def _in_half(source: Source, half: int | None) -> bool:
    return half is None or hashlib.sha256(source.photo.name.encode()).digest()[0] % 2 == half


def read_source(
    source: Source, rng: np.random.Generator, side: int, on_grid: float = 0.0
) -> tuple[Image, Regions | None]:
    """A photograph and its segmentation, cropped to at most `side` pixels along each axis.

    They are not shrunk: shrinking would destroy the photograph's traces. With probability `on_grid`, the crop starts on
    the photograph's own grid of blocks.

    Raises UserError if either cannot be read or used.
    """
    encoded = read_bytes(source.photo)
    if content(encoded) != source.content:
        raise UserError(f"{source.photo}: has changed since composing began; compose anew when it changes no more")
    image = read_image(encoded, name=str(source.photo))
    refuse_small(image.shape, source.photo)
    if source.regions is None:
        return cut(image, (side, side), rng, on_grid), None
    regions = read_regions(source.regions)
    if regions.shape != image.shape[:2]:
        raise UserError(
            f"{source.regions}: {regions.shape[1]} x {regions.shape[0]} pixels, but {source.photo.name} has "
            f"{image.shape[1]} x {image.shape[0]}; they must be equal"
        )
    both = cut(np.dstack([image, regions]), (side, side), rng, on_grid)
    return both[..., :3].astype(np.uint8), both[..., 3]


def cut(pixels: np.ndarray, most: tuple[int, ...], rng: np.random.Generator, on_grid: float = 0.0) -> np.ndarray:
    """A random part of at most `most` (height, width); everything if it is no larger."""
    height, width = (min(side, limit) for side, limit in zip(pixels.shape, most, strict=False))
    top, left = rng.integers(pixels.shape[0] - height + 1), rng.integers(pixels.shape[1] - width + 1)
    if on_grid and rng.random() < on_grid:
        top, left = top // GRID * GRID, left // GRID * GRID
    return pixels[top : top + height, left : left + width]


def untouched(source: Source) -> Splice:
    """A photograph as an authentic example: a JPEG's own file, a PNG of the pixels of any other.

    Raises UserError if it cannot be read.
    """
    encoded = read_bytes(source.photo)
    image = read_image(encoded, name=str(source.photo))
    jpeg = encoded if encoded.startswith(JPEG_START) else None
    return Splice(image, np.zeros(image.shape[:2], bool), jpeg, 0, 1.0, 0.0, 0.0, (), ())


def read_regions(path: Path) -> Regions:
    """A segmentation: one region number per pixel, from a grey, 16-bit or palette image."""
    encoded = io.BytesIO(read_bytes(path))
    try:
        with Pillow.open(encoded) as picture:
            regions = np.array(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path}: not a readable segmentation ({error})") from error
    if regions.ndim != 2 or regions.dtype.kind not in "ui" or regions.min() < 0 or regions.max() > 65535:
        raise UserError(f"{path}: a segmentation has one channel of region numbers from 0 to 65535")
    return regions
