"""Areas without evidence: clipped, flat, and too small for a row."""

import numpy as np
import pytest

import splice_jax
from splice_jax.examination.evidence import no_evidence, window
from tests.examination.samples import scene


@pytest.fixture
def image() -> np.ndarray:
    return scene(200, 240)


def test_an_ordinary_scene_has_evidence_everywhere(image: np.ndarray) -> None:
    assert not no_evidence(image).any.any()


@pytest.mark.parametrize("level", [0, 255])
def test_what_is_clipped_is_found_and_single_pixels_are_not(image: np.ndarray, level: int) -> None:
    image[20:60, 30:90] = level
    image[100, 100] = level
    found = no_evidence(image)
    expected = np.zeros(image.shape[:2], bool)
    expected[20:60, 30:90] = True
    np.testing.assert_array_equal(found.clipped, expected)
    assert not found.flat.any()


def test_what_is_flat_is_found_unless_a_colour_changes(image: np.ndarray) -> None:
    image[20:60, 30:90] = (90, 120, 150)
    image[100:140, 30:90] = (90, 120, 150)
    image[100:140, 30:90:2, 2] = 180
    found = no_evidence(image)
    assert found.flat[20:60, 30:90].all() and not found.flat[100:140].any() and not found.clipped.any()


def test_what_lies_between_is_too_small_for_a_row_with_a_larger_window(image: np.ndarray) -> None:
    image[:, :100], image[:, 118:] = 255, 255
    without, valid = no_evidence(image), np.ones(image.shape[:2], bool)
    small, large = splice_jax.localizer("noi1"), splice_jax.localizer("nadq")
    assert (window(small), window(large)) == (16, 24)
    assert not without.for_row(small, valid)["small"].any()
    assert without.for_row(large, valid)["small"][:, 100:118].all()


def test_what_a_row_calls_invalid_is_its_own_reason(image: np.ndarray) -> None:
    valid = np.ones(image.shape[:2], bool)
    valid[:50] = False
    found = no_evidence(image).for_row(splice_jax.localizer("ela"), valid)
    np.testing.assert_array_equal(found["unusable"], ~valid)
