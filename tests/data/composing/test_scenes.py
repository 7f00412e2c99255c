import numpy as np

from splice_jax.data.composing.scenes import draw_scene


def test_a_scene_has_texture_objects_and_no_clipped_values():
    scene, regions = draw_scene(128, 160, np.random.default_rng(0))
    assert scene.shape == (128, 160, 3) and regions.shape == (128, 160)
    assert len(np.unique(regions)) >= 4
    assert scene.min() > 20 and scene.max() < 235
    assert np.abs(np.diff(scene.astype(int), axis=1)).mean() > 1


def test_scenes_repeat_with_the_seed_and_differ_otherwise():
    first, again, other = (draw_scene(64, 96, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9
