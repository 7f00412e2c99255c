"""Methods that ignore the image's content: other scores are worth their distance from these."""

import zlib

import numpy as np
from jaxtyping import UInt8

from splice_jax.methods.localizer import Found, Localizer
from splice_jax.methods.registry import register


@register("all_spliced")
class AllSpliced(Localizer):
    """Calls every pixel spliced, with probability 1: F1 is 2p / (1 + p) for a spliced share p, MCC is 0."""

    name = "all_spliced"

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Ones of the image's size."""
        size = image.shape[:2]
        return Found(np.ones(size, np.float32), np.ones(size, bool))


@register("random")
class Random(Localizer):
    """Independent uniform probabilities; the same image gets the same map under the same seed."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Noise of the image's size."""
        generator = np.random.default_rng([self._seed, zlib.crc32(np.ascontiguousarray(image).data)])
        probability = generator.random(image.shape[:2], np.float32)
        return Found(probability, probability >= 0.5)
