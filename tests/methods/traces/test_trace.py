"""From a response to a map and a mask."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import splice_jax
import splice_jax.methods
from splice_jax.crf import otsu
from splice_jax.methods import Undefined, localizer, registry
from splice_jax.methods.traces.trace import TraceLocalizer, blocks, luma, normalize, spread

README = Path(splice_jax.methods.__file__).with_name("README.md").read_text(encoding="utf-8")


class Brightness(TraceLocalizer):
    name = "brightness"
    cell = 4
    smallest = 4

    def response(self, image):
        return blocks(image[..., 0].astype(float), self.cell).mean(axis=(2, 3))


def test_a_bright_quarter_is_found_up_to_the_image_s_border():
    image = np.full((43, 51, 3), 50, np.uint8)
    image[20:, 24:] = 200
    found = Brightness()(image)
    assert found.probability.shape == found.mask.shape == (43, 51)
    assert found.probability.dtype == np.float32 and found.label_probability is None
    truth = image[..., 0] == 200
    assert (found.mask != truth).mean() < 0.03
    assert found.mask[-1, -1] and not found.mask[-1, 0] and not found.mask[0, -1]
    np.testing.assert_array_equal(found.mask, found.probability >= otsu(found.probability))


def test_a_constant_response_is_undefined_rather_than_a_flat_map():
    with pytest.raises(Undefined, match="row brightness would give a flat map: the trace is equally strong everywhere"):
        Brightness()(np.full((9, 10, 3), 7, np.uint8))


@pytest.mark.parametrize("name", ["noi1", "noi2", "noi4", "dct", "blk"])
@pytest.mark.parametrize("flat", [0, 90, 255])
def test_flat_and_saturated_areas_take_no_part(name, flat):
    half = np.random.default_rng(0).integers(60, 200, (96, 128, 3), np.uint8)
    whole = localizer(name)(half).probability
    half[:, 64:] = flat
    found = localizer(name)(half)
    assert not found.mask[:, 84:].any() and not found.valid[:, 84:].any()
    assert found.valid[:, :44].all() and found.mask[:, :44].mean() < 0.9
    if name != "dct":  # Its steps are the whole image's.
        assert np.corrcoef(found.probability[:, :44].ravel(), whole[:, :44].ravel())[0, 1] > 0.3
    with pytest.raises(Undefined, match=f"row {name} has nothing to measure: the image is flat or saturated"):
        localizer(name)(np.full((96, 128, 3), flat, np.uint8))


def test_an_image_too_small_is_undefined_in_one_line():
    with pytest.raises(Undefined) as caught:
        Brightness()(np.zeros((3, 900, 3), np.uint8))
    assert str(caught.value) == "row brightness needs an image of at least 4x4 pixels; this one has 900x3"


def test_normalize_keeps_the_order_and_the_ends():
    response = np.random.default_rng(0).standard_cauchy((50, 60))
    scaled = normalize(response)
    np.testing.assert_array_equal(np.argsort(response, axis=None), np.argsort(scaled, axis=None))
    assert scaled.min() == 0 and scaled.max() == 1
    lower, upper = np.quantile(scaled, [0.01, 0.99])
    np.testing.assert_allclose([lower, upper], [0.05, 0.95], atol=1e-3)


def test_normalize_is_linear_between_the_tails():
    np.testing.assert_allclose(normalize(np.linspace(-3, 9, 1001)[None])[0, [10, 500, 990]], [0.05, 0.5, 0.95])


def test_normalize_of_a_response_that_is_mostly_one_value_is_linear():
    response = np.zeros((100, 100))
    response[0, :2] = 1, 2
    np.testing.assert_allclose(normalize(response)[0, :3], [0.5, 1, 0])


def test_what_is_not_finite_never_passes():
    scaled = normalize(np.array([[np.nan, -np.inf, np.inf, 1, 2, 3]]))
    np.testing.assert_allclose(scaled, [[0.5, 0, 1, 0, 0.5, 1]], atol=1e-6)
    assert not normalize(np.full((2, 2), np.nan)).any()
    assert not normalize(np.array([[np.nan, 5.0]])).any()


def test_spread_is_linear_between_centres_and_flat_beyond():
    np.testing.assert_allclose(spread(np.array([[0.0], [2.0]]), (6, 1), 2)[:, 0], [0, 0.5, 1.5, 2, 2, 2])
    values = np.random.default_rng(0).random((3, 4))
    np.testing.assert_allclose(spread(values, (3, 4), 1), values, rtol=1e-6)
    np.testing.assert_allclose(spread(values, (7, 9), 8, origin=(-1, 3)).shape, (7, 9))
    shifted = spread(np.array([[0.0, 1.0]]), (1, 4), 1, origin=(0, 2))
    np.testing.assert_allclose(shifted, [[0, 0, 0, 1]])


def test_luma_is_pillow_s():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_allclose(luma(image), np.asarray(Image.fromarray(image).convert("L")), atol=0.6)


def test_the_readme_s_row_works(monkeypatch):
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    image = np.full((70, 90, 3), 100, np.uint8)
    image[24:56, 40:72] += np.random.default_rng(0).integers(0, 50, (32, 32, 3), np.uint8)
    found = splice_jax.localizer("sharpness")(image)
    assert found.mask[40, 56] and not found.mask[10, 10]


def test_the_page_of_rows_lists_every_row():
    page = (Path(__file__).parents[3] / "docs" / "rows.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {
        *registry.hand_crafted(),
        *registry.trained_names(),
    }
