"""Images padded to few sizes, trials that share a lattice, and images refined together."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from splice_jax import crf
from splice_jax.crf import CrfParameters, on_device, refine, refine_trials
from splice_jax.crf.mean_field import Inference
from tests.crf.test_mean_field import energies, scene


def test_sizes_are_rounded_up_to_few() -> None:
    assert on_device.bucket(1, 9) == (8, 16)
    assert on_device.bucket(568, 757) == (576, 768)
    assert len({on_device.bucket(side, 1) for side in range(512, 1025)}) == 9


def maps_of(images: list[np.ndarray]) -> list[np.ndarray]:
    return [np.exp(-energies(image, number)[1]) for number, image in enumerate(images)]


def test_trials_that_share_a_lattice_give_what_each_gives_alone() -> None:
    image = scene(30, 41, 6)
    [probability] = maps_of([image])
    trials = [CrfParameters(w, smoothness_weight=v, neutral=n) for w, v, n in ((10, 3, "half"), (1, 0, "otsu"))]
    for megapixels in (2.0, 5e-4):
        tried = [dataclasses.replace(each, max_megapixels=megapixels) for each in trials]
        alone = [refine("jax", image, probability, each) for each in tried]
        for found, wanted in zip(refine_trials("jax", image, probability, tried), alone, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert np.abs(alone[0] - alone[1]).max() > 0.1
    with pytest.raises(ValueError, match="differ in more than weights"):
        refine_trials("jax", image, probability, [CrfParameters(), CrfParameters(bilateral_colour_std=5)])


def test_a_batch_gives_what_each_image_gives_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of two buckets, one of them reduced first, and one whose lattice needs more room than the others'."""
    images = [scene(height, width, height) for height, width in ((30, 41), (25, 44), (60, 60), (32, 48))]
    images[1] = np.random.default_rng(0).integers(0, 256, images[1].shape, np.uint8)
    maps, parameters = maps_of(images), CrfParameters(max_megapixels=3e-3)
    monkeypatch.setattr(on_device, "_SMALLEST_CAPACITY", 1024)
    alone = [refine("jax", *pair, parameters) for pair in zip(images, maps, strict=True)]
    assert crf.batch_size("jax") == 1
    batches = []
    compiled = on_device._compiled

    def noted(unary: np.ndarray, *arguments: Any, **static: Any) -> Inference:
        batches.append(len(unary))
        return compiled(unary, *arguments, **static)

    monkeypatch.setattr(on_device, "_compiled", noted)
    monkeypatch.setattr(on_device, "batch_size", lambda: 2)
    for found, wanted in zip(crf.refine_batch("jax", images, maps, parameters), alone, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert max(batches) == 2
