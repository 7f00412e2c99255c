import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.data.composing.recipes import OPERATIONS, RECIPES, Recipe, Step, apply_history
from splice_jax.data.composing.splicing import Splice, compose_authentic, compose_jitter, compose_splice

PLAIN = Recipe(feather=0.0, flip=0.0)
SPLICES = sorted(name for name, recipe in RECIPES.items() if recipe.kind == "splice")


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


@pytest.mark.parametrize("name", SPLICES)
def test_the_spliced_share_is_within_bounds_and_spread(name, compose):
    one_object = dataclasses.replace(RECIPES[name], more=0.0, backdrop=0.0, past=())
    shares = [compose(one_object, seed).mask.mean() for seed in range(60)]
    (low, high), slack = one_object.share, 1e-3 if one_object.feather else 0
    assert min(shares) >= low - slack and max(shares) <= high + slack
    assert np.quantile(shares, 0.75) > (low + high) / 2 > np.quantile(shares, 0.25)


@pytest.mark.parametrize("name", SPLICES)
def test_no_constant_area_or_border_betrays_the_splice(name, compose):
    quiet = dataclasses.replace(RECIPES[name], history=(), past=(), jpeg=0.0, rotate=0.5)
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


@pytest.mark.parametrize("name", SPLICES)
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


JITTER = dataclasses.replace(RECIPES["jitter"], past=(), jpeg=0.0)
SQUARES = np.arange(96)[:, None] // 32 * 4 + np.arange(120) // 30


def pixels(file: bytes | None) -> np.ndarray:
    assert file is not None
    return np.array(Image.open(io.BytesIO(file)))


@pytest.mark.parametrize("regions", [SQUARES, None], ids=["segmented", "drawn"])
def test_outside_a_jittered_object_everything_is_the_twin_s(photograph, regions):
    for seed in range(12):
        splice = compose_jitter(photograph(1), regions, np.random.default_rng(seed), JITTER)
        twin = pixels(splice.twin)
        reach = 2 * int(2.5 * splice.feather + 0.5) + 1  # a soft mask is smaller than its shape
        beyond = ~ndimage.binary_dilation(splice.mask, np.ones((3, 3)), iterations=reach)
        np.testing.assert_array_equal(splice.image[beyond], twin[beyond])
        assert (splice.image != twin).any(-1)[splice.mask].mean() > 0.5
        assert 0 < splice.mask.mean() < 0.6
        done = {step.split()[0] for step in splice.donor_history}
        assert done - {"gain", "tone"}  # at least one thing that leaves a trace
        assert splice.scale == 1.0 and splice.angle == 0.0


def test_without_a_history_the_twin_is_the_photograph(photograph):
    splice = compose_jitter(
        photograph(1), None, np.random.default_rng(0), dataclasses.replace(JITTER, history=(), feather=0.0)
    )
    np.testing.assert_array_equal(pixels(splice.twin), photograph(1))
    np.testing.assert_array_equal(splice.image[~splice.mask], photograph(1)[~splice.mask])


def test_a_twin_has_the_past_of_its_splice(photograph):
    """Resized and stored alike: neither size nor file tells which is which."""
    sizes = set()
    for seed in range(12):
        splice = compose_jitter(photograph(1, 160, 200), None, np.random.default_rng(seed), RECIPES["jitter"])
        twin = pixels(splice.twin)
        assert twin.shape == splice.image.shape and splice.mask.shape == twin.shape[:2]
        assert splice.twin is not None and splice.twin[:2] == splice.encoded_image()[:2]
        if splice.jpeg is not None:
            tables = [Image.open(io.BytesIO(file)).quantization for file in (splice.jpeg, splice.twin)]  # type: ignore[attr-defined]
            assert tables[0] == tables[1]
        sizes.add(twin.shape)
    assert len(sizes) > 1


def test_the_same_chance_gives_the_same_jitter(photograph):
    first, again, other = (
        compose_jitter(photograph(1), SQUARES, np.random.default_rng(seed), RECIPES["jitter"]) for seed in (5, 5, 6)
    )
    assert (first.encoded_image(), first.encoded_mask(), first.twin) == (
        again.encoded_image(),
        again.encoded_mask(),
        again.twin,
    )
    assert first.encoded_mask() != other.encoded_mask()


def test_an_authentic_picture_has_a_past_and_no_splice(photograph):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        splice = compose_authentic(photograph(1, 160, 200), rng, RECIPES["authentic_histories"])
        assert splice.mask.shape == splice.image.shape[:2] and not splice.mask.any()
        assert splice.donor_history == () and splice.twin is None
    recipe = dataclasses.replace(RECIPES["authentic_web"], history=(), past=(), jpeg=0.0)
    plain = compose_authentic(photograph(1), np.random.default_rng(0), recipe)
    np.testing.assert_array_equal(plain.image, photograph(1))


@pytest.mark.parametrize("segmented", [True, False])
def test_a_sky_is_replaced_by_another_photograph_s(photograph, segmented):
    recipe = dataclasses.replace(PLAIN, backdrop=1.0)
    sky = np.zeros((96, 120), int)
    sky[30:], sky[60:, 40:] = 1, 2
    for seed in range(8):
        rng = np.random.default_rng(seed)
        regions = sky if segmented else None
        splice = compose_splice(photograph(1), photograph(2, 70, 200), None, rng, recipe, host_regions=regions)
        np.testing.assert_array_equal(splice.image[~splice.mask], photograph(1)[~splice.mask])
        assert (splice.image[splice.mask] != photograph(1)[splice.mask]).any(-1).mean() > 0.9
        assert 0.1 <= splice.mask.mean() <= 0.6 and splice.mask[0].all()
        if segmented:
            np.testing.assert_array_equal(splice.mask, sky == 0)


def test_a_region_too_large_for_a_sky_is_left_for_a_drawn_horizon(photograph):
    recipe = dataclasses.replace(PLAIN, backdrop=1.0)
    rng = np.random.default_rng(0)
    whole = np.ones((96, 120), int)
    splice = compose_splice(photograph(1), photograph(2), None, rng, recipe, host_regions=whole)
    assert 0.1 < splice.mask.mean() < 0.6


def test_several_objects_may_be_pasted(photograph):
    one, many = PLAIN, dataclasses.replace(PLAIN, more=1.0, share=(0.03, 0.3))
    parts = [
        ndimage.label(compose_splice(photograph(1), photograph(2), None, np.random.default_rng(seed), recipe).mask)[1]
        for recipe in (one, many)
        for seed in range(8)
    ]
    assert max(parts[:8]) == 1 and max(parts[8:]) > 1


def test_a_cut_out_is_blended_in_the_gradient_domain(photograph):
    recipe = dataclasses.replace(PLAIN, gradient=1.0)
    donor = (photograph(2) // 2 + 100).astype(np.uint8)
    splice = compose_splice(photograph(1), donor, None, np.random.default_rng(1), recipe)
    hard = compose_splice(
        photograph(1), donor, None, np.random.default_rng(1), dataclasses.replace(PLAIN, gradient=1e-9)
    )
    np.testing.assert_array_equal(splice.mask, hard.mask)
    np.testing.assert_array_equal(splice.image[~splice.mask], photograph(1)[~splice.mask])
    rim = splice.mask & ~ndimage.binary_erosion(splice.mask)
    step = [abs(float(each.image[rim].mean()) - photograph(1)[rim].mean()) for each in (splice, hard)]
    assert step[0] < step[1] / 3


def test_a_border_too_soft_for_a_small_object_is_hard(photograph):
    recipe = dataclasses.replace(PLAIN, feather=1.0, wide_feather=1.0, share=(0.01, 0.02))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert compose_splice(photograph(1, 64, 64), photograph(2, 64, 64), None, rng, recipe).mask.any()
        jitter = dataclasses.replace(JITTER, feather=1.0, wide_feather=1.0, share=(0.01, 0.02))
        assert compose_jitter(photograph(1, 64, 64), None, rng, jitter).mask.any()
