"""The embedded data set `synthetic`: splices of procedural scenes, each taken by a simulated camera.

Hosts are taken by one kind of camera and donors by another; noise, blur, demosaicing, sharpening and JPEG quality of
each vary around means of its own. Scenes, colours and white balance come from the same distribution, so colour reveals
nothing. No two images share a scene.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from splice_jax.data.composing.camera import BAYER_PHASES, Camera, Image, photograph
from splice_jax.data.composing.compose import SPLITS
from splice_jax.data.composing.objects import Regions
from splice_jax.data.composing.recipes import Recipe, jpeg
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.data.composing.splicing import Splice, compose_splice
from splice_jax.data.sets.builders.base import Record, SpliceBuilder

HEIGHT, WIDTH = 256, 320
COUNTS = {"train": 400, "val": 24, "test": 48}
SEED = 0
RECIPE = Recipe(rescale=0.5, scale=(0.7, 1.4), rotate=0.15, feather=0.4, free_shape=0.4, share=(0.06, 0.5))


def host_camera(rng: np.random.Generator) -> Camera:
    """A soft camera: bilinear demosaicing, little noise, smoothing."""
    noise = float(rng.uniform(0.1, 0.35))
    return Camera(
        red_site=BAYER_PHASES[0],
        demosaic="bilinear",
        lens_blur=float(rng.uniform(0.4, 0.8)),
        read_noise=0.004 * noise**2,
        shot_noise=0.0015 * noise**2,
        white_balance=_white_balance(rng),
        denoise=float(rng.uniform(0.3, 0.6)),
    )


def donor_camera(rng: np.random.Generator) -> Camera:
    """A crisp, noisy camera: gradient-corrected demosaicing, sharpening."""
    noise = float(rng.uniform(0.4, 0.8))
    return Camera(
        red_site=BAYER_PHASES[3],
        demosaic="gradient",
        read_noise=0.004 * noise**2,
        shot_noise=0.0015 * noise**2,
        white_balance=_white_balance(rng),
        sharpen=float(rng.uniform(0.3, 1.0)),
    )


def _white_balance(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(1.3, 2.2)), float(rng.uniform(1.3, 2.2))


def synthetic_splice(split: str, index: int, seed: int = SEED) -> Splice:
    """Image `index` of a split; depends only on the arguments."""
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    host, _ = _photograph(host_camera(rng), (88, 97), rng)
    donor, regions = _photograph(donor_camera(rng), (75, 90), rng)
    return compose_splice(host, donor, regions, rng, RECIPE)


def _photograph(camera: Camera, quality: tuple[float, float], rng: np.random.Generator) -> tuple[Image, Regions]:
    scene, regions = draw_scene(HEIGHT, WIDTH, rng)
    return jpeg(photograph(scene, camera, rng), rng.uniform(*quality), rng), regions


class Synthetic(SpliceBuilder):
    """Builder of `synthetic`. Raise `VERSION` with every change to its pictures: prepared sets are kept by version."""

    VERSION = "1.0.0"

    def records(self) -> dict[str, Iterator[Record]]:
        """All images of all splits, made on demand."""
        return {split: map(_record, itertools.repeat(split), range(count)) for split, count in COUNTS.items()}


def _record(split: str, index: int) -> Record:
    splice = synthetic_splice(split, index)
    return Record(f"{split}-{index:04d}", splice.encoded_image(), splice.encoded_mask())
