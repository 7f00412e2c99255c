from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np

from splice_jax.augmentation import dihedral

COUNT, SIDE = 400, 4
PATCHES = jnp.asarray(np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8))
MASKS = PATCHES[..., 0] // 2  # a mask knows its patch


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(side, turns) for side in (image, image[:, ::-1]) for turns in range(4)]


def turned(seed: int) -> dict[str, np.ndarray]:
    return jax.device_get(jax.jit(dihedral)(jax.random.key(seed), PATCHES, MASKS))


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
    eager = dihedral(jax.random.key(0), PATCHES, MASKS)
    np.testing.assert_array_equal(eager["patches"], turned(0)["patches"])
    assert not np.array_equal(turned(0)["patches"], turned(1)["patches"])
