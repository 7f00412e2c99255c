"""Draws docs/rows.png: every row's map of three real splices, and of two files made from the first one.

    python -m tools.rows_picture WORKDIR/evaluation/NAME DIR --output=docs/rows.png

WORKDIR/evaluation/NAME is the evaluation of all rows on the `folder` data set DIR. Its first, middle and last image by
name are shown, so that nobody chooses. The files are JPEGs of quality 90, for the methods that read JPEG: in one, the
host was compressed before at quality 60, in the other, the spliced part was, on its own JPEG grid; trained methods are
not run on these. Each map is stretched to its own range. No photograph is drawn, since they are not ours to share.
"""

import argparse
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from splice_jax import errors, images
from splice_jax.data import Example, open_split
from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.errors import UserError
from splice_jax.evaluation.maps.cache import map_path, read_map
from splice_jax.evaluation.maps.make import probability_of
from splice_jax.evaluation.maps.records import read_record
from splice_jax.evaluation.output.tables import NOTHING
from splice_jax.evaluation.rows import TRIVIAL, row_name
from splice_jax.evaluation.summary import read_scores
from splice_jax.files import replacing
from splice_jax.methods import Undefined, localizer
from splice_jax.methods.registry import hand_crafted

matplotlib.use("Agg")
from matplotlib import pyplot

Column = tuple[str, np.ndarray, Mapping[str, np.ndarray]]
"""A title, the mask and the maps by row name; a row without a map is undefined there."""

QUALITY, FORMER_QUALITY, GRID = 90, 60, (3, 5)
HEIGHT = 120
"""Pixels of a map as drawn."""


def main() -> None:
    """Reads, localizes and draws."""
    flags = argparse.ArgumentParser(prog="python -m tools.rows_picture", description=__doc__)
    flags.add_argument("evaluation", type=Path, help="an evaluation of all rows")
    flags.add_argument("data", type=Path, help="the folder data set that it is of")
    flags.add_argument("--output", type=Path, required=True, help="the PNG to write")
    given = flags.parse_args()
    scores = read_scores(given.evaluation / "scores.json")
    rows = {row_name(row["method"], row["crf"]): row for row in scores["rows"] if row["method"] not in TRIVIAL}
    examples = sorted(open_split("folder", str(given.data), "test"), key=lambda example: example.name)
    chosen = [examples[0], examples[len(examples) // 2], examples[-1]]
    columns = [cached(example, given.evaluation / "maps", list(rows)) for example in chosen]
    columns += recompressed(chosen[0].image, chosen[0].mask)
    with replacing(given.output) as beside:
        draw({name: row_name(row["method"], row["crf"]) for name, row in rows.items()}, columns, beside)


def cached(example: Example, maps: Path, rows: Sequence[str]) -> Column:
    """The maps of an evaluation.

    Raises:
      UserError: it is of other images, or a map is missing.
    """
    found = {}
    for row in rows:
        records = {each.image: each for each in read_record(maps, row).maps}
        if example.name not in records:
            raise UserError(f"{maps}: is not of the data set that holds {example.name}")
        if not records[example.name].undefined:
            found[row] = probability_of(read_map(map_path(maps, row, example.name)))
    return example.name, example.mask, found


def recompressed(image: np.ndarray, mask: np.ndarray) -> list[Column]:
    """The maps of hand-crafted rows of what was compressed in parts, and then as a whole."""
    host = np.where(mask[..., None], image, _compressed(image))
    splice = np.where(
        mask[..., None], np.roll(_compressed(np.roll(image, GRID, (0, 1))), (-GRID[0], -GRID[1]), (0, 1)), image
    )
    columns: list[Column] = []
    for title, pixels in (("host a JPEG before", host), ("splice a JPEG before", splice)):
        encoded = encode_jpeg(pixels, QUALITY)
        found: dict[str, np.ndarray] = {}
        for row in hand_crafted():
            try:
                found[row] = localizer(row).localize_encoded(images.read_image(encoded), encoded).probability
            except Undefined:
                continue
        columns.append((f"{title},\nall quality {QUALITY}", mask, found))
    return columns


def _compressed(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encode_jpeg(image, FORMER_QUALITY))))


def draw(rows: Mapping[str, str], columns: Sequence[Column], path: Path) -> None:
    """One line of maps for every row, below the masks."""
    size = 2.0 * len(columns) + 2.2, 1.45 * (len(rows) + 1)
    figure, axes = pyplot.subplots(len(rows) + 1, len(columns), figsize=size, squeeze=False, layout="constrained")
    for column, (title, mask, found) in zip(axes.T, columns, strict=True):
        column[0].set_title(title, fontsize=9)
        for axis, shown in zip(column, [mask.astype(np.float32), *(found.get(row) for row in rows)], strict=True):
            axis.set(xticks=[], yticks=[])
            if shown is None:
                axis.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=axis.transAxes)
                axis.spines[:].set_visible(False)
            else:
                small = images.resize_map(shown, (HEIGHT, round(HEIGHT * shown.shape[1] / shown.shape[0])))
                axis.imshow(small, cmap="gray")
    for axis, name in zip(axes[:, 0], ["spliced", *rows.values()], strict=True):
        axis.set_ylabel(name.replace(" (", "\n(").replace(", ", ",\n"), rotation=0, ha="right", va="center", fontsize=9)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    pyplot.close(figure)
    Image.open(drawn).convert("L").save(path, "PNG", optimize=True)


if __name__ == "__main__":
    errors.run(main)
