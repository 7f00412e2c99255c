"""Draws the pictures of docs/reading-a-map.md: what rows show in authentic photographs, in splices, in false friends.

    python -m tools.reading_pictures --output=docs

The photographs are those of `tools.real_demo`, in the public domain or CC0, and so are the splices: the first seeds,
none left out. Every cell shows a row's map beside what it marks, with the hatching of the page of an examination.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage import data

import splice_jax
from splice_jax import errors
from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.examination.evidence import no_evidence
from splice_jax.examination.looking import Photograph, RowResult, look
from splice_jax.files import replacing, writable_folder
from splice_jax.images import encode_png, read_image
from splice_jax.localize.results import overlay
from splice_jax.methods import Localizer
from tools.real_demo import PHOTOGRAPHS, compose, names_of

matplotlib.use("Agg")
from matplotlib import pyplot

ROWS = ("sgt", "noi1", "cfa1", "dct", "adq1", "ela")
SEEDS = (0, 1, 2, 3)
CELL = 96, 136
"""Height and width in pixels that a map is drawn in."""
NOTHING = 225
"""Grey of a row that found none of its traces."""
WIDTH = 1500
"""Pixels of a picture, at most."""

Pixels = np.ndarray
Files = Mapping[str, bytes]


def main() -> None:
    """Lets the rows look at every file and draws the three pictures."""
    flags = argparse.ArgumentParser(prog="python -m tools.reading_pictures", description=__doc__)
    flags.add_argument("--output", type=Path, required=True, help="the folder to write them to")
    output = writable_folder(flags.parse_args().output)
    rows = [splice_jax.localizer(name) for name in ROWS]
    for name, files in {"authentic": authentic(), "spliced": spliced(), "false-friends": false_friends()}.items():
        path = output / f"reading-{name}.jpg"
        with replacing(path) as beside:
            draw(files, rows, beside)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def authentic() -> Files:
    """The photographs, as a camera would store them."""
    return {name: encode_jpeg(getattr(data, name)(), 92) for name in PHOTOGRAPHS}


def spliced() -> Files:
    """The splices of the first seeds."""
    return {f"{donor} in {host}": compose(seed).encoded_image() for seed in SEEDS for host, donor in [names_of(seed)]}


def false_friends() -> Files:
    """Authentic photographs in which something else than a splice or a texture shows."""
    rocket, cat, cup, face = (getattr(data, name)() for name in ("rocket", "chelsea", "coffee", "astronaut"))
    overexposed = np.clip(face * 1.9, 0, 255).astype(np.uint8)
    blurred = ndimage.gaussian_filter(cup, (2.5, 2.5, 0))
    focus = np.hypot(*np.ogrid[-1 : 1 : cup.shape[0] * 1j, -1 : 1 : cup.shape[1] * 1j])[..., None] < 0.6
    sharpened = np.asarray(Image.fromarray(cat).filter(ImageFilter.UnsharpMask(2, 150, 0)))
    middle = (slice(60, 240), slice(120, 330))
    retouched = cat.copy()
    retouched[middle] = sharpened[middle]
    enlarged = np.asarray(Image.fromarray(cup[:260, :400]).resize((600, 390), Image.Resampling.BICUBIC))
    return {
        "even sky, quality 50": encode_jpeg(rocket, 50),
        "overexposed": encode_jpeg(overexposed, 92),
        "depth of field": encode_jpeg(np.where(focus, cup, blurred), 92),
        "sharpened in the middle": encode_jpeg(retouched, 92),
        "enlarged": encode_jpeg(enlarged, 92),
        "screenshot": encode_png(screenshot(face)),
    }


def screenshot(image: Pixels) -> Pixels:
    """A photograph as a program shows it: smaller, on a window's even ground with a bar above."""
    small = Image.fromarray(read_image(encode_jpeg(image, 80))).resize((360, 360), Image.Resampling.BILINEAR)
    window = np.full((440, 560, 3), 244, np.uint8)
    window[:36] = (60, 66, 74)
    window[58:418, 100:460] = np.asarray(small)
    return window


def draw(files: Files, rows: list[Localizer], path: Path) -> None:
    """Draws the photographs above what each row shows in them."""
    size = 2.75 * len(files) + 0.4, 1.0 * (len(rows) + 1) + 0.3
    figure, axes = pyplot.subplots(len(rows) + 1, len(files), figsize=size, layout="constrained")
    for column, (title, encoded) in zip(axes.T, files.items(), strict=True):
        photograph = Photograph(encoded, image := read_image(encoded), no_evidence(image), frozenset())
        cells = [fitted(image), *(cell(image, look(row, photograph)) for row in rows)]
        for axis, picture in zip(column, cells, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        column[0].set_title(title, fontsize=9)
    for axis, label in zip(axes[:, 0], ("photograph", *ROWS), strict=True):
        axis.set_ylabel(label, fontsize=9)
    dpi = min(100, WIDTH / size[0])
    figure.savefig(path, format="jpeg", dpi=dpi, pil_kwargs={"quality": 80, "optimize": True})
    pyplot.close(figure)


def cell(image: Pixels, result: RowResult) -> Pixels:
    """A row's map, white where it suspects most, beside what it marks; grey where it has nothing to show."""
    if result.found is None or result.silent:
        return np.full((CELL[0], 2 * CELL[1], 3), NOTHING, np.uint8)
    levels = np.rint(255 * result.found.probability).astype(np.uint8)
    marked = overlay(image, result.found.mask)
    rows, columns = np.indices(image.shape[:2])
    for phase, colour in ((0, 255), (1, 0)):
        marked[result.areas_without_evidence() & ((rows + columns) % 15 // 4 == phase)] = colour
    return np.concatenate([fitted(levels[..., None].repeat(3, 2)), fitted(marked)], 1)


def fitted(picture: Pixels) -> Pixels:
    """A picture in a cell, with white around it."""
    ratio = min(cell / side for cell, side in zip(CELL, picture.shape[:2], strict=True))
    size = [max(1, round(side * ratio)) for side in picture.shape[:2]]
    small = np.asarray(Image.fromarray(picture).resize(size[::-1]))
    ground = np.full((*CELL, 3), 255, np.uint8)
    top, left = ((cell - side) // 2 for cell, side in zip(CELL, size, strict=True))
    ground[top : top + size[0], left : left + size[1]] = small
    return ground


if __name__ == "__main__":
    errors.run(main)
