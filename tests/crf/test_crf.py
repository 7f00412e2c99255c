import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from splice_jax import crf
from splice_jax.crf import CLIP, CrfParameters, otsu, refine
from splice_jax.errors import UserError
from tests.optional import needs_pydensecrf

ROOT = Path(__file__).parents[2]
NO_PAIRWISE = CrfParameters(bilateral_weight=0, smoothness_weight=0)
each_backend = pytest.mark.parametrize("backend", ["jax", pytest.param("pydensecrf", marks=needs_pydensecrf)])


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def two_colours(height: int = 40, width: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """A dark and a bright half, each with a little noise, and where the bright one is."""
    right = np.broadcast_to(np.arange(width) >= width // 2, (height, width))
    noise = np.random.default_rng(0).integers(0, 5, (height, width, 3))
    return np.where(right[..., None], 200 + noise, 40 + noise).astype(np.uint8), right


@each_backend
def test_without_pairwise_terms_the_map_comes_back_clipped(backend: str) -> None:
    probability = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    probability[0, :2] = 0, 1
    refined = refine(backend, photograph(20, 30), probability, NO_PAIRWISE)
    np.testing.assert_allclose(refined, np.clip(probability, CLIP, 1 - CLIP), atol=1e-6)
    assert refined.dtype == np.float32


@each_backend
def test_without_iterations_the_map_comes_back_clipped(backend: str) -> None:
    probability = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    refined = refine(backend, photograph(20, 30), probability, CrfParameters(iterations=0))
    np.testing.assert_allclose(refined, np.clip(probability, CLIP, 1 - CLIP), atol=1e-6)


@each_backend
def test_isolated_pixels_are_smoothed_away(backend: str) -> None:
    probability = np.full((40, 60), 0.2, np.float32)
    probability[10:30, 10:30] = 0.8
    probability[5, 5], probability[20, 20] = 0.8, 0.2
    flat = np.full((40, 60, 3), 128, np.uint8)
    refined = refine(backend, flat, probability, CrfParameters(bilateral_weight=0, smoothness_position_std=2))
    assert refined[5, 5] < 0.2
    assert refined[20, 20] > 0.8


@each_backend
def test_the_region_snaps_to_an_edge_of_colour(backend: str) -> None:
    image, right = two_colours()
    moved = np.roll(right, 6, axis=1) & right  # a map whose border lies 6 pixels inside of the true one
    probability = np.where(moved, 0.8, 0.3).astype(np.float32)
    refined = refine(backend, image, probability, CrfParameters())
    assert np.mean((probability >= 0.5) == right) < 0.95
    assert np.mean((refined >= 0.5) == right) > 0.99


@each_backend
def test_a_larger_image_is_refined_at_reduced_size_by_the_same_widths(backend: str) -> None:
    image, right = two_colours(160, 240)
    probability = np.where(np.roll(right, 24, axis=1) & right, 0.8, 0.3).astype(np.float32)
    whole = refine(backend, image, probability, CrfParameters(max_megapixels=1))
    reduced = refine(backend, image, probability, CrfParameters(max_megapixels=0.0024))
    assert reduced.shape == (160, 240)
    assert 0 <= reduced.min() <= reduced.max() <= 1
    assert np.mean((whole >= 0.5) == (reduced >= 0.5)) > 0.97
    assert np.mean((reduced >= 0.5) == right) > 0.97


@each_backend
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (2, 3), (65, 63)])
def test_any_size_and_maps_of_exact_0_and_1(backend: str, size: tuple[int, int]) -> None:
    probability = np.random.default_rng(0).integers(0, 2, size).astype(np.float32)
    for megapixels in (1.0, 1e-6):
        refined = refine(backend, photograph(*size), probability, CrfParameters(max_megapixels=megapixels))
        assert refined.shape == size and np.isfinite(refined).all()
        assert 0 <= refined.min() <= refined.max() <= 1


@each_backend
@pytest.mark.parametrize("constant", [0.0, 0.3, 0.5, 1.0])
def test_a_constant_map_keeps_its_side(backend: str, constant: float) -> None:
    refined = refine(backend, photograph(20, 30), np.full((20, 30), constant, np.float32), CrfParameters())
    assert np.isfinite(refined).all()
    assert np.allclose(refined, 0.5, atol=1e-4) if constant == 0.5 else np.all((refined > 0.5) == (constant > 0.5))


@each_backend
def test_inputs_are_left_alone_and_the_result_repeats(backend: str) -> None:
    image, probability = photograph(20, 30), np.random.default_rng(1).random((20, 30), dtype=np.float32)
    before = image.copy(), probability.copy()
    first, second = (refine(backend, image, probability, CrfParameters()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(probability, before[1])


def test_none_returns_the_map_itself() -> None:
    probability = np.zeros((2, 2), np.float32)
    assert refine("none", photograph(2, 2), probability, CrfParameters()) is probability


@pytest.mark.usefixtures("without_pydensecrf")
def test_a_missing_extra_says_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r'pip install "splice_jax\[pydensecrf\]"'):
        refine("pydensecrf", photograph(2, 2), np.zeros((2, 2), np.float32), CrfParameters())
    with pytest.raises(UserError, match="or take jax"):
        crf.backend_module("pydensecrf")


@pytest.mark.usefixtures("without_pydensecrf")
def test_jax_takes_the_place_of_what_is_not_installed_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [crf.usable(backend) for backend in ("none", "jax")] == ["none", "jax"]
    crf._say_once.cache_clear()
    assert [crf.usable("pydensecrf") for _ in range(2)] == ["jax", "jax"]
    assert capsys.readouterr().err == "crf.backend: pydensecrf is not installed, so jax refines the maps\n"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: sys)
    assert crf.usable("pydensecrf") == "pydensecrf"
    with pytest.raises(UserError, match=r"crf\.backend: 'dense' is not known, choose from none, jax, pydensecrf"):
        crf.usable("dense")


def test_inference_needs_nothing_else_of_the_package_and_no_pillow() -> None:
    code = (
        "import sys; from splice_jax.crf import exact, mean_field, on_device, pydensecrf\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('splice_jax.', 'PIL'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = [name for name in done.stdout.split() if not name.startswith("splice_jax.crf")]
    assert loaded == ["splice_jax.errors"]


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"crf\.backend: 'dense' is not known, choose from none, jax, pydensecrf"):
        refine("dense", photograph(2, 2), np.zeros((2, 2), np.float32), CrfParameters())
    with pytest.raises(UserError, match=r"crf\.smoothness_position_std: 0 must be above 0"):
        CrfParameters(smoothness_position_std=0)
    with pytest.raises(UserError, match=r"crf\.iterations: -1 must be at least 0"):
        CrfParameters(iterations=-1)


@each_backend
def test_what_cannot_be_refined_is_refused(backend: str) -> None:
    with pytest.raises(ValueError, match="does not belong"):
        refine(backend, photograph(2, 3), np.zeros((2, 2), np.float32), CrfParameters())
    with pytest.raises(ValueError, match="NaN"):
        refine(backend, photograph(2, 2), np.full((2, 2), np.nan, np.float32), CrfParameters())


def test_parameters_are_read_from_a_section() -> None:
    section = {"backend": "pydensecrf", "bilateral_weight": 4.0, "iterations": 7}
    assert CrfParameters.from_config(section) == CrfParameters(bilateral_weight=4.0, iterations=7)


def test_otsus_threshold_parts_two_groups_and_is_half_for_one() -> None:
    random = np.random.default_rng(0)
    low, high = random.normal(0.1, 0.02, 700), random.normal(0.3, 0.02, 300)
    probability = np.concatenate([low, high]).reshape(20, 50).astype(np.float32)
    assert low.max() - 1 / 256 <= otsu(probability) <= high.min() + 1 / 256
    assert otsu(np.full((3, 4), 0.2, np.float32)) == 0.5
    values = np.array([[0.0, 0.0, 1.0]], np.float32)
    assert 0 < otsu(values) < 1


@each_backend
def test_the_neutral_probability_becomes_a_half(backend: str) -> None:
    probability = np.array([[0.1] * 4 + [0.2] * 4] * 8, np.float32)
    image = np.zeros((8, 8, 3), np.uint8)
    threshold = otsu(probability)
    assert 0.1 < threshold < 0.2
    refined = refine(backend, image, probability, dataclasses.replace(NO_PAIRWISE, neutral="otsu"))
    odds = probability / (1 - probability) * (1 - threshold) / threshold
    np.testing.assert_allclose(refined, odds / (1 + odds), rtol=1e-3)
    assert refined[0, 0] < 0.5 < refined[0, 7]


def test_an_unknown_neutral_is_named() -> None:
    with pytest.raises(UserError, match="crf.neutral: 'mean' is none of half, otsu"):
        CrfParameters(neutral="mean")
