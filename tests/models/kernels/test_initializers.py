import jax
import numpy as np
import pytest

from splice_jax.models.kernels import initializers
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables

KEY = jax.random.key(0)


@pytest.mark.parametrize(("initialization", "farthest"), [("looks_linear", 2.4), ("baseline", 3.5)])
def test_kernels_are_kaiming_normal_with_tails_or_without(initialization: str, farthest: float) -> None:
    values = np.asarray(initializers.kernels(initialization)(KEY, (5, 5, 16, 400))) / (2 / 400) ** 0.5
    assert values.std() == pytest.approx(1, rel=0.02)
    assert abs(values.mean()) < 0.01
    assert (np.abs(values).max() > farthest) == (initialization == "baseline")


def test_biases_are_zero_or_uniform_by_fan_in() -> None:
    assert not np.asarray(initializers.biases("looks_linear", 9)(KEY, (1000,))).any()
    values = np.asarray(initializers.biases("baseline", 9)(KEY, (1000,)))
    assert 0.99 / 3 < values.max() <= 1 / 3 and -1 / 3 <= values.min() < -0.99 / 3
    assert values.std() == pytest.approx(3**-1.5, rel=0.05)


def test_scales_are_one_or_about_one() -> None:
    assert (np.asarray(initializers.scales("looks_linear")(KEY, (10,))) == 1).all()
    values = np.asarray(initializers.scales("baseline")(KEY, (2000,)))
    assert values.mean() == pytest.approx(1, abs=0.002)
    assert values.std() == pytest.approx(0.02, rel=0.05)


def test_pairs_are_mirrored_along_the_axes_named_and_not_in_the_baseline() -> None:
    kernel = np.asarray(initializers.paired_kernels("looks_linear", 2, 3)(KEY, (5, 5, 32, 2)))
    np.testing.assert_array_equal(kernel[:, :, 16:], -kernel[:, :, :16])
    np.testing.assert_array_equal(kernel[..., 1], -kernel[..., 0])
    plain = np.asarray(initializers.paired_kernels("baseline", 2, 3)(KEY, (5, 5, 32, 2)))
    np.testing.assert_array_equal(plain, initializers.kernels("baseline")(KEY, (5, 5, 32, 2)))


def test_every_layer_of_a_network_starts_as_its_field_says() -> None:
    def biases(initialization: str) -> dict[str, np.ndarray]:
        network = SemiGlobalNetwork(64, 1, global_network="cnn", initialization=initialization)
        leaves = jax.tree.leaves_with_path(initial_variables(network, KEY)["params"])
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}

    for name, values in biases("baseline").items():
        constant = "bn" in name and "bias" in name
        assert (np.ptp(values) == 0) == constant, name
    ours = biases("looks_linear")
    assert {name for name, values in ours.items() if "'bias'" in name and "lstm" not in name and values.any()} == set()
    assert all((values == 1).all() for name, values in ours.items() if "'scale'" in name)
