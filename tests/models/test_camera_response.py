import jax
import numpy as np

from splice_jax.models.camera_response import EdgeLeNet

HISTOGRAMS = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


def test_the_network_is_caffe_s_lenet_with_two_classes() -> None:
    shapes = jax.eval_shape(EdgeLeNet().init, jax.random.key(0), HISTOGRAMS)["params"]
    caffe = 431_080 - 501 * 10 + 501 * 2
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == caffe == 427_072


def test_probabilities_of_two_classes_add_up_to_one() -> None:
    network = EdgeLeNet()
    shapes = jax.eval_shape(network.init, jax.random.key(0), HISTOGRAMS)
    random = np.random.default_rng(1)
    variables = jax.tree.map(lambda leaf: (0.05 * random.standard_normal(leaf.shape)).astype(np.float32), shapes)
    found = np.exp(np.asarray(network.apply(variables, HISTOGRAMS)))
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.ptp(found[:, 1]) > 0
