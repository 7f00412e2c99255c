"""Draws docs/dense-crf.png: a map, what each kernel of the CRF says of it, and the marginals step by step.

    python -m tools.crf_pictures --output=docs/dense-crf.png

The scene is drawn by this project, and so is its map: the truth, blurred and with noise. A kernel's message is what one
step with that kernel alone adds to the log-odds of "spliced".
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from scipy import ndimage, special

from splice_jax import errors
from splice_jax.crf import CrfParameters, on_device
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.files import replacing

SIZE, SEED = (192, 256), 3
STEPS = (1, 5, 10)


def main() -> None:
    """Draws the picture."""
    flags = argparse.ArgumentParser(prog="python -m tools.crf_pictures", description=__doc__)
    flags.add_argument("--output", type=Path, required=True, metavar="PNG")
    draw(flags.parse_args().output)


def draw(output: Path) -> None:
    """Writes the picture to `output`."""
    image, truth, probability = example()
    alone = {
        "colour and position": CrfParameters(iterations=1, smoothness_weight=0.0),
        "position": CrfParameters(iterations=1, bilateral_weight=0.0),
    }
    messages = {name: message(image, probability, parameters) for name, parameters in alone.items()}
    steps = {step: on_device.refine(image, probability, CrfParameters(iterations=step)) for step in STEPS}
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
    maps = {"map, the unary's source": probability} | {f"steps: {step}": each for step, each in steps.items()}
    grey = {"scene": image, "truth": truth.astype(float), **maps}
    for axis, title in zip(axes.flat, ("scene", "truth", *messages, *maps), strict=True):
        axis.set_title(f"message by {title}" if title in messages else title, fontsize=9)
        if title in messages:
            most = np.abs(messages[title]).max()
            axis.imshow(messages[title], cmap="RdBu_r", vmin=-most, vmax=most)
        else:
            axis.imshow(grey[title], cmap="gray", vmin=0, vmax=1)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    with replacing(output) as beside:
        figure.savefig(beside, dpi=90)


def example() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A scene, the objects that are taken for spliced, and a map that is uncertain about them."""
    random = np.random.default_rng(SEED)
    image, regions = draw_scene(*SIZE, random)
    areas = np.bincount(regions.ravel())
    truth = np.isin(regions, 1 + np.argsort(areas[1:])[-2:])
    noise = ndimage.gaussian_filter(random.standard_normal(SIZE), 4) * 8
    odds = 3 * (ndimage.gaussian_filter(truth.astype(float), 8) - 0.5) + 0.8 * noise
    return image, truth, special.expit(odds).astype(np.float32)


def message(image: np.ndarray, probability: np.ndarray, parameters: CrfParameters) -> np.ndarray:
    """What one step adds to the log-odds."""
    kept = probability.clip(1e-4, 1 - 1e-4)
    return special.logit(on_device.refine(image, probability, parameters).clip(1e-6, 1 - 1e-6)) - special.logit(kept)


if __name__ == "__main__":
    errors.run(main)
