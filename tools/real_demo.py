"""The packaged model on splices of real photographs, and the README's first picture.

    python -m tools.real_demo --output=runs/real-demo [--seeds 0 1 2 3]

The photographs are those in scikit-image's package that show a scene in colour and are in the public domain or CC0.
Host and donor of a seed follow from its number alone, and no seed is left out: the picture of seed 0 is the README's,
the others are in docs/results.md.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image
from skimage import data

import splice_jax
from splice_jax import errors, metrics
from splice_jax.data.composing.recipes import RECIPES
from splice_jax.data.composing.splicing import Splice, compose_splice
from splice_jax.files import replacing, writable_folder
from splice_jax.localize.results import overlay
from splice_jax.methods.localizer import Found

PHOTOGRAPHS = {
    "astronaut": "NASA, public domain",
    "chelsea": "Stefan van der Walt, CC0",
    "coffee": "Rachel Michetti, CC0",
    "rocket": "SpaceX, public domain",
}
RECIPE = "light"


def main() -> None:
    """Composes, localizes and draws every seed."""
    flags = argparse.ArgumentParser(prog="python -m tools.real_demo", description=__doc__)
    flags.add_argument("--output", type=Path, default=Path("runs/real-demo"), metavar="DIR")
    flags.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    arguments = flags.parse_args()
    output = writable_folder(arguments.output)
    localizer = splice_jax.load()
    print(f"The packaged model on splices of real photographs, recipe {RECIPE}:")
    for seed in arguments.seeds:
        host, donor = names_of(seed)
        splice = compose(seed)
        path = output / f"seed{seed}{'.jpg' if splice.jpeg else '.png'}"
        with replacing(path) as beside:
            beside.write_bytes(splice.encoded_image())
        found = localizer.localize_file(path)
        with replacing(output / f"seed{seed}.picture.png") as beside:
            draw(splice, found, beside)
        print(f"  seed {seed}, {donor} in {host}: {_verdict(splice, found)}")
    print(f"Pictures: {output}/seed*.picture.png")


def names_of(seed: int) -> tuple[str, str]:
    """Host and donor of a seed: every ordered pair of different photographs in turn."""
    names = list(PHOTOGRAPHS)
    step = 1 + seed // len(names) % (len(names) - 1)
    return names[seed % len(names)], names[(seed + step) % len(names)]


def compose(seed: int) -> Splice:
    """The splice of a seed."""
    host, donor = (getattr(data, name)() for name in names_of(seed))
    return compose_splice(host, donor, None, np.random.default_rng(seed), RECIPES[RECIPE])


def draw(splice: Splice, found: Found, output: Path) -> None:
    """Writes the picture: photograph, truth, map, and what is marked."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    tiles = {
        "splice": splice.image,
        "truth": splice.mask,
        "map": found.probability,
        "marked": overlay(splice.image, found.mask),
    }
    height, width = splice.mask.shape
    figure, axes = pyplot.subplots(1, len(tiles), figsize=(12, 3.2 * height / width + 0.4), layout="constrained")
    for axis, (title, tile) in zip(axes, tiles.items(), strict=True):
        axis.imshow(tile, cmap="gray", vmin=0, vmax=1 if tile.ndim == 2 else None)
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    figure.savefig(output, dpi=100, format="png")
    pyplot.close(figure)
    Image.open(output).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(output, "PNG", optimize=True)


def _verdict(splice: Splice, found: Found) -> str:
    best = metrics.curve(metrics.quantize(found.probability), splice.mask).best(metrics.f1).value
    marked = metrics.counts_at(found.mask.astype(np.float32), splice.mask, 0.5)
    return f"score {found.score:.2f}, F1 {float(metrics.f1(marked)):.2f} as marked, {best:.2f} at the best threshold"


if __name__ == "__main__":
    errors.run(main)
