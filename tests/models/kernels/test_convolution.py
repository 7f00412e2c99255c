"""Both implementations of every convolution equal SciPy's correlation, and their gradients those of float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from splice_jax.models.kernels.convolution import convolve, convolve_relu_pool, each

CHANNELS = [(3, 16), (16, 1), (1, 32), (32, 2), (2, 2)]


def correlated(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    image, kernel = image.astype(np.float64), kernel.astype(np.float64)
    return np.array(
        [
            sum(correlate2d(channel, kernel[:, :, i, o], mode="same") for i, channel in enumerate(image))
            for o in range(kernel.shape[3])
        ]
    )


def pooled(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    filtered = np.maximum(correlated(image[None], kernel), 0)
    height, width = (side // 2 * 2 for side in image.shape)
    cells = filtered[:, :height, :width].reshape(-1, height // 2, 2, width // 2, 2)
    return cells.max((2, 4))


def drawn(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("matmul", [False, True])
@pytest.mark.parametrize("channels", CHANNELS)
def test_convolution_equals_scipy(channels: tuple[int, int], matmul: bool) -> None:
    image, kernel = drawn((channels[0], 7, 11)), drawn((5, 5, *channels), 1)
    found = jax.jit(lambda image, kernel: convolve(image, kernel, matmul=matmul))(image, kernel)
    np.testing.assert_allclose(found, correlated(image, kernel), atol=1e-4)


@pytest.mark.parametrize("channels", [(1, 2), (2, 1)])
def test_eager_convolution_of_an_image_below_the_kernels_size_equals_scipy(channels: tuple[int, int]) -> None:
    image, kernel = drawn((channels[0], 1, 3)), drawn((5, 5, *channels), 1)
    found = convolve(jnp.asarray(image), jnp.asarray(kernel))
    np.testing.assert_allclose(found, correlated(image, kernel), atol=1e-5)


@pytest.mark.parametrize("matmul", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_convolution_relu_and_pooling_equal_scipy(size: tuple[int, int], matmul: bool) -> None:
    image, kernel = drawn(size), drawn((5, 5, 1, 3), 1)
    found = jax.jit(lambda image, kernel: convolve_relu_pool(image, kernel, matmul=matmul))(image, kernel)
    np.testing.assert_allclose(found, pooled(image, kernel), atol=1e-5)


def test_eager_convolution_relu_and_pooling_equal_scipy() -> None:
    image, kernel = drawn((2, 4)), drawn((5, 5, 1, 2), 1)
    found = convolve_relu_pool(jnp.asarray(image), jnp.asarray(kernel))
    np.testing.assert_allclose(found, pooled(image, kernel), atol=1e-5)


@pytest.mark.parametrize("matmul", [False, True])
@pytest.mark.parametrize(
    ("function", "reference", "shapes"),
    [
        (convolve, correlated, ((3, 7, 6), (5, 5, 3, 4))),
        (convolve, correlated, ((4, 7, 6), (5, 5, 4, 2))),
        (convolve, correlated, ((2, 7, 6), (5, 5, 2, 2))),
        (convolve_relu_pool, pooled, ((8, 6), (5, 5, 1, 3))),
    ],
)
def test_gradients_equal_differences_of_scipy(function, reference, shapes, matmul) -> None:
    arguments = [drawn(shape, seed) for seed, shape in enumerate(shapes)]
    cotangent = drawn(reference(*arguments).shape, 2)

    @jax.jit
    def gradient(*arguments):
        return jax.vjp(lambda *both: function(*both, matmul=matmul), *arguments)[1](cotangent)

    for number, found in enumerate(gradient(*arguments)):
        direction = drawn(shapes[number], 3).astype(np.float64)
        sides = []
        for step in (1e-6, -1e-6):
            moved = [array.astype(np.float64) for array in arguments]
            moved[number] += step * direction
            sides.append((cotangent * reference(*moved)).sum())
        assert (np.asarray(found) * direction).sum() == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-4, abs=1e-3)


@functools.partial(jax.jit, static_argnames="matmul")
def pool_gradients(image: np.ndarray, kernel: np.ndarray, matmul: bool) -> tuple[jax.Array, jax.Array]:
    return jax.grad(lambda *both: convolve_relu_pool(*both, matmul=matmul).sum(), (0, 1))(image, kernel)


@pytest.mark.parametrize("matmul", [False, True])
def test_a_closed_relu_passes_no_gradient(matmul: bool) -> None:
    image, kernel = np.abs(drawn((4, 4))), np.abs(drawn((5, 5, 1, 2), 1))
    kernel[..., 1] *= -1  # this output is closed everywhere, the other one open
    to_image, to_kernel = pool_gradients(image, kernel, matmul)
    assert np.all(to_kernel[..., 1] == 0)
    assert np.all(to_kernel[2, 2, :, 0] != 0)
    kernel[..., 1] *= 2
    np.testing.assert_array_equal(pool_gradients(image, kernel, matmul)[0], to_image)


@pytest.mark.parametrize("matmul", [False, True])
def test_at_exactly_zero_the_relu_is_closed(matmul: bool) -> None:
    for gradient in pool_gradients(np.zeros((4, 4), np.float32), drawn((5, 5, 1, 2)), matmul):
        assert np.all(gradient == 0)


@pytest.mark.parametrize("matmul", [False, True])
def test_of_equal_pixels_the_first_gets_the_whole_gradient(matmul: bool) -> None:
    identity = np.zeros((5, 5, 1, 2), np.float32)
    identity[2, 2, 0, 0] = 1
    image = np.array([[1, 1, 0, 2], [1, 1, 2, 2], [0, 0, 3, 0], [4, 4, 3, 3]], np.float32)
    expected = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]], np.float32)
    np.testing.assert_array_equal(pool_gradients(image, identity, matmul)[0], expected)


def test_each_applies_the_function_to_every_image() -> None:
    images = jnp.asarray(drawn((3, 4, 5)))
    expected = [image - image.mean() for image in np.asarray(images)]
    for apply in (each, jax.jit(each, static_argnums=0)):
        np.testing.assert_allclose(apply(lambda image: image - image.mean(), images), expected, atol=1e-6)
