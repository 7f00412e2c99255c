from collections.abc import Iterator

import jax
import numpy as np
import pytest

from splice_jax.models.kernels import compilation
from splice_jax.models.kernels.compilation import convolution_options
from splice_jax.models.resnet import ResNet18


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    convolution_options.cache_clear()
    yield
    convolution_options.cache_clear()


def test_the_options_change_no_feature() -> None:
    network = ResNet18()
    image = np.random.default_rng(0).standard_normal((1, 96, 96, 3)).astype(np.float32)
    variables = jax.jit(network.init)(jax.random.key(0), image)
    expected = np.asarray(jax.jit(network.apply)(variables, image))
    found = jax.jit(network.apply, compiler_options=convolution_options())(variables, image)
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    assert convolution_options()


def test_a_compiler_that_does_not_know_an_option_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_EIGEN", {"xla_cpu_no_such_option": ""})
    assert convolution_options() == {}


def test_accelerators_keep_their_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "on_cpu", lambda: False)
    assert convolution_options() == {}
