import numpy as np
import pytest

from splice_jax.data.composing.recipes import (
    MIXTURES,
    OPERATIONS,
    RECIPES,
    SMALLEST_RESULT,
    Step,
    apply_history,
    apply_past,
)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_s_shares_are_of_recipes_and_sum_to_1(name: str) -> None:
    shares = MIXTURES[name]
    assert set(shares) <= set(RECIPES) and name not in RECIPES
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) > 0
    kinds = {RECIPES[part].kind for part in shares}
    assert kinds == {"splice", "jitter", "authentic", "untouched"}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_operations_that_there_are(name: str) -> None:
    recipe = RECIPES[name]
    for step in (*recipe.history, *recipe.object_history, *recipe.past):
        assert step.operation in OPERATIONS and 0 < step.probability <= 1 and step.strength[0] <= step.strength[1]
    assert recipe.side[0] <= recipe.side[1] and 0 < recipe.share[0] < recipe.share[1] < 1
    assert bool(recipe.object_history) == (recipe.kind == "jitter")


def test_resampling_and_shifting_keep_everything_in_its_place(photograph) -> None:
    image = photograph(0)
    rng = np.random.default_rng(0)
    resampled = OPERATIONS["resample"](image, 0.7, rng)
    assert resampled.shape == image.shape and (resampled != image).any()
    assert np.abs(resampled.mean((0, 1)) - image.mean((0, 1))).max() < 1
    for _ in range(5):
        shifted = OPERATIONS["shift"](image, 1.0, rng)
        shifts = [(y, x) for y in range(1, 8) for x in range(1, 8) if (np.roll(image, (y, x), (0, 1)) == shifted).all()]
        assert len(shifts) == 1


def test_a_past_resizes_the_mask_along_and_nothing_else_changes_it(photograph) -> None:
    image, mask = photograph(0, 200, 300), np.zeros((200, 300), bool)
    mask[50:150, 100:200] = True
    resize, jpeg = Step("resize", 1.0, (0.6, 0.6)), Step("jpeg", 1.0, (80, 80))
    found, turned, done = apply_past(image, mask, (resize, jpeg), np.random.default_rng(0))
    assert done == ("resize 0.6", "jpeg 80") and found.shape == (120, 180, 3)
    expected = np.zeros((120, 180), bool)
    expected[30:90, 60:120] = True
    np.testing.assert_array_equal(turned, expected)
    _, same, _ = apply_past(image, mask, (jpeg,), np.random.default_rng(0))
    np.testing.assert_array_equal(same, mask)


def test_a_past_never_makes_a_picture_tiny(photograph) -> None:
    steps = (Step("resize", 1.0, (0.1, 0.2)),)
    found, mask, _ = apply_past(photograph(0, 200, 300), np.ones((200, 300), bool), steps, np.random.default_rng(0))
    assert min(found.shape[:2]) == SMALLEST_RESULT and mask.shape == found.shape[:2] and mask.all()


def test_the_same_chance_gives_the_same_history(photograph) -> None:
    recipe = RECIPES["jitter"]
    for history in (recipe.history, recipe.object_history):
        first, again = (apply_history(photograph(0), history, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first[0], again[0])
        assert first[1] == again[1]
