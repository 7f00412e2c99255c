from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splice_jax.augmentation import dihedral, example_keys

COUNT, SIDE = 400, 4
PATCHES = jnp.asarray(np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8))
MASKS = PATCHES[..., 0] // 2  # a mask knows its patch


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(side, turns) for side in (image, image[:, ::-1]) for turns in range(4)]


def turned(seed: int) -> dict[str, np.ndarray]:
    keys = example_keys(jax.random.key(seed), COUNT)
    return jax.device_get(jax.jit(dihedral)(keys, PATCHES, MASKS))


def test_every_patch_becomes_one_of_its_eight_symmetries_and_all_occur_about_equally_often() -> None:
    which: Counter[int] = Counter()
    for patch, found in zip(np.asarray(PATCHES), turned(0)["patches"], strict=True):
        (number,) = [number for number, image in enumerate(symmetries(patch)) if np.array_equal(image, found)]
        which[number] += 1
    assert set(which) == set(range(8))
    # 50 expected of each; a binomial's deviation is 6.6.
    assert 25 < min(which.values()) <= max(which.values()) < 75


def test_a_mask_is_turned_like_its_patch() -> None:
    result = turned(1)
    assert {name: (array.shape, array.dtype) for name, array in result.items()} == {
        "patches": (PATCHES.shape, np.uint8),
        "masks": (MASKS.shape, np.uint8),
    }
    np.testing.assert_array_equal(result["patches"][..., 0] // 2, result["masks"])


def test_the_key_decides_eager_and_compiled() -> None:
    eager = dihedral(example_keys(jax.random.key(0), COUNT), PATCHES, MASKS)
    np.testing.assert_array_equal(eager["patches"], turned(0)["patches"])
    assert not np.array_equal(turned(0)["patches"], turned(1)["patches"])


def test_a_patch_is_turned_by_its_own_key_whatever_else_is_in_the_batch() -> None:
    keys, whole = example_keys(jax.random.key(0), COUNT), turned(0)["patches"]
    part = slice(7, 19)
    np.testing.assert_array_equal(dihedral(keys[part], PATCHES[part], MASKS[part])["patches"], whole[part])


@pytest.mark.parametrize("devices", [2, 4])
def test_keys_follow_from_the_position_in_the_whole_batch(devices: int) -> None:
    key = jax.random.PRNGKey(3)
    expected = [jax.random.fold_in(key, position).tolist() for position in range(8)]
    assert example_keys(key, 8).tolist() == expected
    spread = jax.vmap(lambda _: example_keys(key, 8 // devices, "devices"), axis_name="devices")(jnp.arange(devices))
    assert spread.reshape(8, 2).tolist() == expected
    assert len(set(map(tuple, expected))) == 8
