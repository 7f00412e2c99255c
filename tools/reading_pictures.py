"""Draws docs/reading-a-map.png: what rows mark in authentic scenes and in a splice, so that false friends are known.

    python -m tools.reading_picture --output=docs/reading-a-map.png

The scenes are procedural and taken by simulated cameras, so they are the project's own to show. One scene is shown as
taken, with its upper part overexposed and flat, with a blurred background, enlarged, and with a part of another scene
pasted in before it was saved again; the hatching is that of the page of an examination.
"""

import argparse
import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image
from scipy import ndimage

from splice_jax.data.composing.camera import photograph
from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.data.sets.builders.synthetic import donor_camera, host_camera
from splice_jax.examination.evidence import no_evidence
from splice_jax.examination.looking import Photograph, RowResult, look
from splice_jax.files import replacing
from splice_jax.images import encode_png, read_image
from splice_jax.localize.results import overlay
from splice_jax.methods import localizer

matplotlib.use("Agg")
from matplotlib import pyplot

SIZE = 320, 400
ROWS = ("noi1", "cfa1", "dct", "adq1", "ela")
SEED = 7
COLOURS = 128
"""Of the picture, so that it stays small."""


def main() -> None:
    """Makes the scenes, lets the rows look and draws."""
    flags = argparse.ArgumentParser(prog="python -m tools.reading_picture", description=__doc__)
    flags.add_argument("--output", type=Path, required=True, help="the PNG to write")
    output = flags.parse_args().output
    with replacing(output) as beside:
        draw(scenes(np.random.default_rng(SEED)), beside)


def scenes(rng: np.random.Generator) -> Mapping[str, bytes]:
    """Files by title."""
    host = photograph(draw_scene(*SIZE, rng)[0], host_camera(rng), rng)
    donor = photograph(draw_scene(*SIZE, rng)[0], donor_camera(rng), rng)
    clipped, focused = host.copy(), host.copy()
    clipped[: SIZE[0] // 3] = 255
    clipped[-SIZE[0] // 5 :] = (96, 120, 90)
    focused[:, SIZE[1] // 2 :] = ndimage.gaussian_filter(host, (2, 2, 0))[:, SIZE[1] // 2 :]
    enlarged = np.array(Image.fromarray(host[: SIZE[0] * 2 // 3, : SIZE[1] * 2 // 3]).resize(SIZE[::-1]))
    spliced = read_image(encode_jpeg(host, 60))
    spliced[100:230, 150:290] = donor[100:230, 150:290]
    return {
        "authentic": encode_png(host),
        "authentic, overexposed and flat": encode_png(clipped),
        "authentic, right half out of focus": encode_png(focused),
        "authentic, enlarged": encode_png(enlarged),
        "authentic, JPEG": encode_jpeg(host, 85),
        "spliced: a rectangle in the middle": encode_jpeg(spliced, 92),
    }


def draw(files: Mapping[str, bytes], path: Path) -> None:
    """Draws the scenes above what each row marks in them."""
    figure, axes = pyplot.subplots(
        len(ROWS) + 1, len(files), figsize=(2.2 * len(files), 1.85 * (len(ROWS) + 1)), dpi=90
    )
    for column, (title, encoded) in zip(axes.T, files.items(), strict=True):
        photograph = Photograph(encoded, image := read_image(encoded), no_evidence(image), frozenset())
        pictures = [image, *(marked(image, look(localizer(name), photograph)) for name in ROWS)]
        for axis, picture in zip(column, pictures, strict=True):
            axis.imshow(picture)
            axis.set_xticks([])
            axis.set_yticks([])
        column[0].set_title(title, fontsize=7)
    for axis, label in zip(axes[:, 0], ("scene", *ROWS), strict=True):
        axis.set_ylabel(label, fontsize=9)
    figure.tight_layout(pad=0.4)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as opened:
        opened.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def marked(image: np.ndarray, result: RowResult) -> np.ndarray:
    """The scene with what a row marks tinted, and what has no evidence hatched; grey where it marks nothing."""
    if result.found is None or result.silent:
        return np.full_like(image, 225)
    picture = overlay(image, result.found.mask)
    rows, columns = np.indices(image.shape[:2])
    for phase, colour in ((0, 255), (1, 0)):
        picture[result.areas_without_evidence() & ((rows + columns) % 10 // 3 == phase)] = colour
    return picture


if __name__ == "__main__":
    main()
