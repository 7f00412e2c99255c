"""`ela` and `ghost`: compressing again shows what was compressed before."""

import io

import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax.methods import Undefined
from splice_jax.methods.traces import recompression
from splice_jax.methods.traces.recompression import GHOST_QUALITIES, clarity, ghosts, recompressed
from splice_jax.metrics import auc
from tests.methods.traces.judged import or_half

GENERATOR = np.random.default_rng(0)


def test_recompression_is_pillow_s_with_colours_subsampled(trial):
    image = trial(0).host
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90, subsampling="4:2:0")
    np.testing.assert_array_equal(recompressed(image, 90), np.asarray(Image.open(file)))


@pytest.mark.parametrize("quality", [51, 90, 100])
@pytest.mark.parametrize("size", [(256, 320), (49, 300), (47, 310), (1, 97), (99, 2), (97, 49)])
def test_in_parts_the_result_is_the_same(monkeypatch, size, quality):
    """Noise in colours changes at every seam if anything does."""
    image = GENERATOR.integers(0, 256, (*size, 3), np.uint8)
    whole = recompressed(image, quality)
    monkeypatch.setattr(recompression, "LONGEST", 48)
    monkeypatch.setattr(recompression, "PART", 32)
    through_jpeg, parts = recompression._through_jpeg, []

    def seen(part: np.ndarray, quality: int) -> np.ndarray:
        parts.append(part.shape)
        return through_jpeg(part, quality)

    monkeypatch.setattr(recompression, "_through_jpeg", seen)
    np.testing.assert_array_equal(recompressed(image, quality), whole)
    assert len(parts) == np.prod([1 if side <= 48 else -(-side // 32) for side in size])
    assert all(max(shape) <= 64 for shape in parts)


@pytest.mark.parametrize("size", [(1, 70_000), (66_000, 24)])
@pytest.mark.parametrize("name", ["ela", "ghost"])
def test_an_image_too_long_for_a_jpeg_is_localized(name, size):
    random = np.random.default_rng(0)
    image = np.full((*size, 3), 128, np.uint8)
    image[size[0] // 2 :, size[1] // 2 :] = random.integers(0, 256, 3)
    image[:40] = random.integers(0, 256, image[:40].shape)  # Nothing can be measured in a flat image.
    row = splice_jax.localizer(name)
    if min(size) < 24 and name == "ghost":
        with pytest.raises(Undefined, match="ghost needs an image of at least 24x24 pixels"):
            row(image)
    else:
        assert row(image).probability.shape == size


def test_ela_is_the_mean_absolute_change(trial):
    image = trial(0).host
    change = np.abs(image.astype(float) - recompressed(image, 90)).mean(axis=2)
    response = splice_jax.localizer("ela").response(image)  # type: ignore[attr-defined]
    np.testing.assert_allclose(response, change, rtol=1e-6)


def test_ela_finds_what_was_not_compressed(trial, compressed):
    for seed in range(3):
        case = trial(seed)
        host = case.host
        for _ in range(3):  # until another compression changes next to nothing
            host = compressed(host, 90)
        assert case.area(splice_jax.localizer("ela")(case.spliced(host=host)).probability) > 0.9


@pytest.mark.parametrize("name", ["ela", "ghost"])
def test_where_all_has_one_history_nothing_is_found(trial, compressed, name):
    """Over scenes, for `ela` shows texture too."""
    cases = [trial(seed) for seed in range(2 if name == "ghost" else 8)]
    found = splice_jax.localizer(name)
    areas = [or_half(lambda case=case: case.area(found(compressed(case.spliced(), 85)).probability)) for case in cases]
    assert abs(np.mean(areas) - 0.5) < 0.1, areas


@pytest.mark.parametrize(("host", "donor", "last"), [(None, 60, None), (90, 65, None), (None, 60, 90)])
def test_a_ghost_is_found_without_knowing_its_quality(trial, compressed, host, donor, last):
    case = trial(1)
    image = case.spliced(None if host is None else compressed(case.host, host), compressed(case.donor, donor))
    image = image if last is None else compressed(image, last)
    assert case.area(splice_jax.localizer("ghost")(image).probability) > 0.9


def test_a_white_half_is_no_ghost_and_hides_none(trial, compressed):
    case = trial(1)
    image = case.spliced(donor=compressed(case.donor, 60))
    bordered = np.concatenate([np.full_like(image, 255), image], axis=1)
    found, width = splice_jax.localizer("ghost")(bordered), image.shape[1]
    assert case.area(found.probability[:, width:]) > 0.9
    assert not found.mask[:, : width - 24].any() and not found.valid[:, : width - 24].any()


def test_a_ghost_is_darkest_at_its_own_quality(trial, compressed):
    case = trial(1)
    differences = ghosts(case.spliced(donor=compressed(case.donor, 65)))
    assert differences.shape == (len(GHOST_QUALITIES), 32, 40)
    assert differences.min() == 0 and differences.max() == 1
    inside = differences[:, 10:18, 14:25].mean(axis=(1, 2))
    assert GHOST_QUALITIES[int(np.argmin(inside))] == 65
    assert GHOST_QUALITIES[int(np.argmax([clarity(difference.ravel()) for difference in differences]))] == 65


def test_clarity_by_hand():
    two = np.full(100, 0.8, np.float32)
    two[:30] = 0.1
    assert clarity(two) == pytest.approx(1)
    assert clarity(two[::-1]) == pytest.approx(1)
    assert clarity(1 - two) == 0  # the dark part is the larger one
    assert clarity(two / 4 + 0.6) == 0  # no part is dark
    assert clarity(np.full(100, 0.5, np.float32)) == clarity(two[:1]) == clarity(two[:0]) == 0
    two[:30] += GENERATOR.normal(0, 0.05, 30).astype(np.float32)
    assert 0.9 < clarity(two) < 1


def test_a_ghost_s_map_is_of_blocks(trial, compressed):
    case = trial(1)
    response = splice_jax.localizer("ghost").response(  # type: ignore[attr-defined]
        case.spliced(donor=compressed(case.donor, 60))
    )
    assert response.shape == (32, 40)
    mask = case.mask[4::8, 4::8]
    assert auc(response, mask) > 0.9
