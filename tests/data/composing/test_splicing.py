import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.data.composing.recipes import OPERATIONS, RECIPES, Recipe, Step, apply_history
from splice_jax.data.composing.splicing import Splice, compose_splice

PLAIN = Recipe(feather=0.0, flip=0.0)


@pytest.fixture
def compose(photograph) -> Callable[..., Splice]:
    def compose(recipe: Recipe, seed: int, regions: np.ndarray | None = None) -> Splice:
        return compose_splice(photograph(1), photograph(2), regions, np.random.default_rng(seed), recipe)

    return compose


def test_a_plain_splice_is_host_outside_and_donor_inside_the_mask(compose, photograph):
    host, donor = photograph(1), photograph(2)
    for seed in range(10):
        splice = compose(PLAIN, seed)
        np.testing.assert_array_equal(splice.image[~splice.mask], host[~splice.mask])
        rows, columns = np.nonzero(splice.mask)
        shifts = np.argwhere((donor == splice.image[rows[0], columns[0]]).all(axis=-1)) - (rows[0], columns[0])
        moved = [
            donor.take(rows + dy, axis=0, mode="clip")[np.arange(rows.size), columns + dx]
            for dy, dx in shifts
            if (columns + dx).min() >= 0 and (columns + dx).max() < donor.shape[1]
        ]
        assert any((pixels == splice.image[rows, columns]).all() for pixels in moved)


def test_rescale_leaves_the_host_bit_identical_beyond_the_soft_border(compose, photograph):
    host = photograph(1)
    for seed in range(20):
        splice = compose(RECIPES["rescale"], seed)
        assert splice.jpeg is None and splice.host_history == splice.donor_history == ()
        assert 0.6 <= splice.scale <= 1.6 and abs(splice.scale - 1) >= 0.05
        reach = int(2.5 * splice.feather + 0.5) + 1
        beyond = ~ndimage.binary_dilation(splice.mask, np.ones((3, 3)), iterations=reach)
        np.testing.assert_array_equal(splice.image[beyond], host[beyond])
        changed = (splice.image != host).any(axis=-1)
        assert changed[splice.mask].mean() > 0.9


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_spliced_share_is_within_bounds_and_spread(name, compose):
    shares = [compose(RECIPES[name], seed).mask.mean() for seed in range(60)]
    assert min(shares) >= 0.03 and max(shares) <= 0.5
    assert np.quantile(shares, 0.75) > 0.25 > np.quantile(shares, 0.25)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_no_constant_area_or_border_betrays_the_splice(name, compose):
    quiet = dataclasses.replace(RECIPES[name], history=(), jpeg=0.0, rotate=0.5)
    for seed in range(20):
        splice = compose(quiet, seed)
        steps = np.abs(np.diff(splice.image.astype(int), axis=1)).max(axis=-1)
        inside = splice.mask[:, 1:] & splice.mask[:, :-1]
        assert (steps[inside] == 0).mean() < 0.1
        assert splice.image[splice.mask].max(axis=-1).min() > 0


def test_objects_are_cut_along_regions_where_there_are_any(compose):
    squares = np.arange(96)[:, None] // 32 * 4 + np.arange(120) // 30
    straight = [compose(dataclasses.replace(PLAIN, free_shape=0.0), seed, squares) for seed in range(10)]
    assert all(_right_angled(splice.mask) for splice in straight)
    free = [compose(dataclasses.replace(PLAIN, free_shape=1.0), seed, squares) for seed in range(10)]
    assert not any(_right_angled(splice.mask) for splice in free)


def _right_angled(mask: np.ndarray) -> bool:
    """Few different rows: an outline of right angles."""
    return len(np.unique(mask, axis=0)) <= 5


def test_a_splice_kept_as_jpeg_is_what_its_bytes_say(compose):
    recipe = dataclasses.replace(PLAIN, jpeg=1.0, jpeg_quality=(80, 80))
    splice = compose(recipe, 3)
    assert splice.jpeg_quality == 80 and splice.jpeg is not None
    assert splice.encoded_image() == splice.jpeg
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(splice.jpeg))), splice.image)


def test_encoded_masks_are_255_where_spliced(compose):
    splice = compose(PLAIN, 4)
    mask = np.array(Image.open(io.BytesIO(splice.encoded_mask())))
    assert set(np.unique(mask)) == {0, 255}
    np.testing.assert_array_equal(mask == 255, splice.mask)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(splice.encoded_image()))), splice.image)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_same_chance_gives_the_same_splice(name, compose):
    first, again, other = (compose(RECIPES[name], seed) for seed in (5, 5, 6))
    assert first.encoded_image() == again.encoded_image() and first.encoded_mask() == again.encoded_mask()
    assert first.encoded_mask() != other.encoded_mask()


@pytest.mark.parametrize("name", ["histories"])
def test_hosts_and_donors_have_as_many_operations(name, compose):
    splices = [compose(RECIPES[name], seed) for seed in range(150)]
    hosts, donors = ([len(history) for history in kind] for kind in zip(*map(_histories, splices), strict=True))
    expected = sum(step.probability for step in RECIPES[name].history)
    for counts in (hosts, donors):
        assert abs(np.mean(counts) - expected) < 0.35
    assert abs(np.corrcoef(hosts, donors)[0, 1]) < 0.3


def _histories(splice):
    return splice.host_history, splice.donor_history


def test_a_history_says_what_it_did(photograph):
    steps = (Step("resize", 1.0, (0.5, 0.5)), Step("noise", 0.0, (1, 2)), Step("jpeg", 1.0, (75, 75)))
    image, done = apply_history(photograph(1), steps, np.random.default_rng(0))
    assert image.shape == (48, 60, 3) and done == ("resize 0.5", "jpeg 75")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operations_keep_the_type_and_follow_chance(name, photograph):
    strength = {"jpeg": 60.0, "resize": 0.8}.get(name, 0.5)
    image = photograph(1)
    first, again = (OPERATIONS[name](image, strength, np.random.default_rng(0)) for _ in range(2))
    assert first.dtype == np.uint8 and first.shape[2] == 3
    np.testing.assert_array_equal(first, again)
    assert first.shape != image.shape or (first != image).any()


def test_noise_has_the_stated_deviation():
    noisy = OPERATIONS["noise"](np.full((200, 200, 3), 128, np.uint8), 4.0, np.random.default_rng(0))
    np.testing.assert_allclose(noisy.std(), 4.0, rtol=0.02)


def test_a_donor_too_small_for_the_host_is_refused(photograph):
    with pytest.raises(ValueError, match="covers"):
        compose_splice(photograph(1, 900, 900), photograph(2, 64, 64), None, np.random.default_rng(0), PLAIN)
