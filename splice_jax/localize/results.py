"""What is written for one image: maps, masks and overlays.

For an image STEM.jpg, these are

    STEM.probability.png    16-bit grey, 65535 = certainly spliced
    STEM.mask.png           8-bit grey, 255 = called spliced
    STEM.overlay.png        the photograph with what is called spliced tinted and outlined
    STEM.npz                on request: `probability`, `mask`, `valid`; for methods with a label head,
                            `label_probability`; for calibrated ones, `score` and `alarm`

and with several methods STEM.METHOD.probability.png and so on.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from splice_jax.errors import UserError, one_line, out_of_memory, shown
from splice_jax.files import read_bytes, replacing
from splice_jax.images import Picture, encode_png, in_colour, most_bytes, read_picture, with_end
from splice_jax.methods.localizer import Found, Localizer, Undefined
from splice_jax.metrics import quantize

SUFFIXES = (".probability.png", ".mask.png", ".overlay.png", ".npz")
TINT = np.array([255, 0, 170], np.uint16)  # A magenta that is rare in photographs.
OK, UNDEFINED, FAILED = "ok", "undefined", "failed"

_STRIP_ROWS = 256


class Outcome(NamedTuple):
    """The outcome of one method on one image; the columns of the summary."""

    image: str
    method: str
    status: str
    reason: str = ""
    """Why it is not `OK`, or a warning about the file."""
    width: int | None = None
    height: int | None = None
    marked_share: float | None = None
    """How much of the image is called spliced, 0 … 1."""
    seconds: float | None = None
    """Time to localize, with the wait for images that are refined together, and write; the image is read once."""
    score: float | None = None
    alarm: float | None = None
    """See `Found`."""


def infixes(methods: Sequence[str]) -> list[str]:
    """What goes between an image's stem and a result's suffix, by method; a single method needs no name."""
    return [""] if len(methods) == 1 else [f".{method}" for method in methods]


def named(stem: Path, suffix: str) -> Path:
    """A result's file; a stem may contain dots."""
    return stem.with_name(stem.name + suffix)


def localize_image(image: Path, stem: Path, localizers: Sequence[Localizer], *, raw: bool) -> Iterator[Outcome]:
    """Reads an image once, localizes it with every method and writes the results.

    Args:
        image: the file.
        stem: what the results' names start with.
        localizers: the methods.
        raw: whether to write the arrays as well.

    Yields:
        each method's outcome, as soon as it is finished.
    """
    try:
        picture, encoded = _read(image)
    except UserError as error:
        reason = one_line(error).removeprefix(f"{shown(image)}: ")  # The image has a column of its own.
        yield from (Outcome(str(image), localizer.name, FAILED, reason) for localizer in localizers)
        return
    pixels = in_colour(picture.pixels)
    for localizer, infix in zip(localizers, infixes([each.name for each in localizers]), strict=True):
        height, width = pixels.shape[:2]
        known = Outcome(str(image), localizer.name, OK, "; ".join(picture.notes), width=width, height=height)
        yield _localize(known, pixels, encoded, localizer, named(stem, infix), raw)


def look(localizer: Localizer, pixels: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
    """What a localizer finds in an image, of which `encoded` is the file; errors get the name of the method.

    Raises:
        Undefined: the method can say nothing about this image.
        UserError: it cannot work on it.
    """
    try:
        return localizer.localize_encoded(pixels, encoded)
    except Undefined:
        raise
    except UserError as error:
        raise UserError(f"row {localizer.name}: {one_line(error)}") from error


def write_results(stem: Path, pixels: UInt8[np.ndarray, "height width 3"], found: Found, raw: bool) -> None:
    """Writes what a method found, to names that start with `stem`; with `raw` the arrays as well.

    Raises:
        Unwritable: they cannot be written.
    """
    _write(stem, ".probability.png", encode_png(quantize(found.probability)))
    _write(stem, ".mask.png", encode_png(found.mask))
    _write(stem, ".overlay.png", encode_png(overlay(pixels, found.mask)))
    if raw:
        arrays = {name: array for name, array in vars(found).items() if array is not None}
        with replacing(named(stem, ".npz")) as beside:
            np.savez_compressed(beside, **arrays)


def overlay(
    image: UInt8[np.ndarray, "height width 3"], mask: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The image with the masked region tinted, and outlined in the tint and black along its inner edge."""
    line = max(2, round(max(mask.shape) / 400))
    depth = ndimage.minimum_filter(mask.view(np.uint8), 2 * line + 1, mode="constant")
    depth += ndimage.minimum_filter(mask.view(np.uint8), 2 * (line + line // 2) + 1, mode="constant")
    painted = image.copy()
    for strip in _strips(len(image)):
        inside, picture = mask[strip], painted[strip]
        picture[inside] = (2 * picture[inside].astype(np.uint16) + TINT) // 3
        picture[inside & (depth[strip] == 1)] = 0
        picture[inside & (depth[strip] == 0)] = TINT
    return painted


def _read(path: Path) -> tuple[Picture, bytes]:
    """Picture and bytes, read at once, since a file may change or disappear at any time."""
    encoded = read_bytes(path, most=most_bytes())
    return read_picture(encoded, name=str(path)), with_end(encoded)


def _localize(
    known: Outcome,
    pixels: UInt8[np.ndarray, "height width 3"],
    encoded: bytes,
    localizer: Localizer,
    stem: Path,
    raw: bool,
) -> Outcome:
    start = time.perf_counter()
    try:
        found = look(localizer, pixels, encoded)
        write_results(stem, pixels, found, raw)
    except Undefined as reason:
        return known._replace(status=UNDEFINED, reason=one_line(reason))
    except UserError as error:
        return known._replace(status=FAILED, reason=one_line(error))
    except Exception as error:
        if not out_of_memory(error):
            raise
        size = f"{known.width}x{known.height}"
        reason = f"row {localizer.name}: out of memory at {size} pixels; scale the image down, or use a larger machine"
        return known._replace(status=FAILED, reason=reason)
    seconds = time.perf_counter() - start
    return known._replace(marked_share=float(found.mask.mean()), seconds=seconds, score=found.score, alarm=found.alarm)


def _write(stem: Path, suffix: str, content: bytes) -> None:
    with replacing(named(stem, suffix)) as beside:
        beside.write_bytes(content)


def _strips(rows: int) -> list[slice]:
    """Strips of an image: a hundred megapixels fit in memory once, but not all their intermediate results."""
    return [slice(start, start + _STRIP_ROWS) for start in range(0, rows, _STRIP_ROWS)]
