"""Localizing the splices in image files: maps, masks and overlays beside one another in a folder.

For an image STEM.jpg are written

    STEM.probability.png    16-bit grey, 65535 = certainly spliced
    STEM.mask.png           8-bit grey, 255 = called spliced
    STEM.overlay.png        the photograph with what is called spliced tinted and outlined
    STEM.npz                where asked for: `probability`, `mask` and, of rows with a label head, `label_probability`
"""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage
from tqdm import tqdm

from splice_jax.errors import UserError, one_line
from splice_jax.files import replacing
from splice_jax.images import IMAGE_SUFFIXES, encode_png, read_image
from splice_jax.methods.localizer import Found, Localizer, Undefined
from splice_jax.metrics import quantize

TINT = np.array([255, 0, 170], np.uint16)  # A magenta that hardly any photograph holds.

_STRIP_ROWS = 256
_SUFFIXES = (".probability.png", ".mask.png", ".overlay.png", ".npz")


def find_images(paths: Iterable[Path], output: Path) -> list[Path]:
    """The files to localize: those given and, of a folder, the images directly in it, each once and in order.

    Raises:
      UserError: a folder without images, two images of one stem, or an image that an output would overwrite.
    """
    images = list(dict.fromkeys(image for path in paths for image in _images_at(path)))
    _refuse_equal_stems(images)
    written = {(output / (image.stem + suffix)).resolve() for image in images for suffix in _SUFFIXES}
    for image in images:
        if image.resolve() in written:
            raise UserError(f"{image}: would be overwritten by a result; choose an output folder other than {output}")
    return images


def localize_files(images: Sequence[Path], output: Path, localizer: Localizer, *, raw: bool = False) -> int:
    """Localizes one image after the other and writes the results to `output`; one that fails is named on stderr.

    Progress is a bar where stderr is a terminal, else a line per image on stdout.

    Args:
      images: files as `find_images` gives them.
      output: folder for the results, made where missing; results of an earlier run are replaced.
      localizer: what is called with each image.
      raw: whether to write STEM.npz as well.

    Returns:
      how many images failed.
    """
    failed = 0
    in_terminal = sys.stderr.isatty()
    for image in tqdm(images, unit="image", disable=not in_terminal):
        start = time.perf_counter()
        try:
            share = _localize_file(image, output, localizer, raw)
        except UserError as error:
            failed += 1
            tqdm.write(f"error: {one_line(error)}", file=sys.stderr)
            continue
        if not in_terminal:
            print(f"{image}: {share:.1%} spliced, {time.perf_counter() - start:.1f} s", flush=True)
    return failed


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


def _images_at(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    images = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not images:
        raise UserError(f"{path}: no images in this folder; give files or a folder of JPEG, PNG, TIFF, BMP or WebP")
    return images


def _refuse_equal_stems(images: Iterable[Path]) -> None:
    first: dict[str, Path] = {}
    for image in images:
        other = first.setdefault(image.stem, image)
        if other != image:
            raise UserError(
                f"{other} and {image}: their results would have the same names; rename one, or run them apart"
            )


def _localize_file(path: Path, output: Path, localizer: Localizer, raw: bool) -> float:
    """Writes the results of one image; returns the share of it that is called spliced."""
    image = read_image(path)
    try:
        found = localizer.localize_encoded(image, path.read_bytes())
    except Undefined as reason:
        raise UserError(f"{path}: {one_line(reason)}") from reason
    stem = output / path.stem
    _write(stem, ".probability.png", encode_png(quantize(found.probability)))
    _write(stem, ".mask.png", encode_png(found.mask))
    _write(stem, ".overlay.png", encode_png(overlay(image, found.mask)))
    if raw:
        _write_raw(stem, found)
    return float(found.mask.mean())


def _write(stem: Path, suffix: str, content: bytes) -> None:
    with replacing(stem.with_name(stem.name + suffix)) as beside:
        beside.write_bytes(content)


def _write_raw(stem: Path, found: Found) -> None:
    arrays = {name: array for name, array in vars(found).items() if array is not None}
    with replacing(stem.with_name(f"{stem.name}.npz")) as beside:
        np.savez_compressed(beside, **arrays)


def _strips(rows: int) -> list[slice]:
    """A hundred megapixels fit into memory once, their intermediate results only in parts."""
    return [slice(start, start + _STRIP_ROWS) for start in range(0, rows, _STRIP_ROWS)]
