"""The 5x5 convolutions of the patch networks, for one image at a time, channels first.

The convolutions have 1, 2, 3 or 32 channels, and a batch of their activations is far larger than a processor's caches.
XLA's CPU convolutions and `reduce_window` gradients are slow there; matrix products on one patch at a time stay in the
cache. On accelerators, the same functions are plain convolutions, batched by `vmap`.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

KERNEL = 5
REACH = KERNEL // 2


def on_cpu() -> bool:
    """Whether computations run on the CPU by default."""
    return jax.default_backend() == "cpu"


def each(function: Callable, images: Any) -> Array:
    """Applies `function` to every image of a batch (or tuple of batches): in turn on a CPU, all at once elsewhere."""
    return lax.map(function, images) if on_cpu() else jax.vmap(function)(images)


def convolve(
    image: Float[Array, "inputs height width"],
    kernel: Float[Array, "5 5 inputs outputs"],
    *,
    matmul: bool | None = None,
) -> Float[Array, "outputs height width"]:
    """Same-size convolution without bias (cross-correlation, as usual in this field).

    Args:
        image: one image.
        kernel: the weights in Flax's order.
        matmul: whether to use matrix products; by default, only on a CPU.
    """
    if not (on_cpu() if matmul is None else matmul):
        return _plain(image, kernel)
    inputs, outputs = kernel.shape[2:]
    by_product = _gather if inputs < outputs else _scatter if inputs > outputs else _gather_and_scatter
    return by_product(image, kernel)


def convolve_relu_pool(
    image: Float[Array, "2*height 2*width"], kernel: Float[Array, "5 5 1 outputs"], *, matmul: bool | None = None
) -> Float[Array, "outputs height width"]:
    """Convolution of a single channel, ReLU and 2x2 max-pooling. Arguments as for `convolve`."""
    if on_cpu() if matmul is None else matmul:
        return _phases_relu_pool(image, kernel)
    filtered = jax.nn.relu(_plain(image[None], kernel))
    return lax.reduce_window(filtered, -jnp.inf, lax.max, (1, 2, 2), (1, 2, 2), "VALID")


def _plain(image: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(image[None], kernel, (1, 1), "SAME", dimension_numbers=("NCHW", "HWIO", "NCHW"))[0]


def _product(weights: Array, columns: Array) -> Array:
    """weights @ columns. Without the barrier, XLA on CPUs merges a transposition into the product and slows it down."""
    return lax.optimization_barrier(weights) @ columns


def _windows(image: Array, size: int, stride: int = 1) -> Array:
    """Every pixel's neighbourhood as a column: [channels * size * size, pixels]."""
    channels, height, width = image.shape
    padded = jnp.pad(image, ((0, 0), (REACH, REACH), (REACH, REACH)))
    end = 1 - stride
    rows = [
        padded[:, i : i + height + end : stride, j : j + width + end : stride] for i in range(size) for j in range(size)
    ]
    return jnp.stack(rows, 1).reshape(channels * size * size, -1)


def _gather(image: Array, kernel: Array) -> Array:
    """Windows first, then one product: cheap if there are fewer inputs than outputs."""
    weights = kernel.transpose(3, 2, 0, 1).reshape(kernel.shape[3], -1)
    return _product(weights, _windows(image, KERNEL)).reshape(-1, *image.shape[1:])


def _gather_and_scatter(image: Array, kernel: Array) -> Array:
    """Five rows as columns, one product, then shift along the rows and add: cheap if all channels are few."""
    inputs, height, width = image.shape
    outputs = kernel.shape[3]
    padded = jnp.pad(image, ((0, 0), (REACH, REACH), (REACH, REACH)))
    rows = jnp.stack([padded[:, i : i + height] for i in range(KERNEL)]).reshape(KERNEL * inputs, -1)
    weights = kernel.transpose(1, 3, 0, 2).reshape(KERNEL * outputs, -1)
    products = _product(weights, rows).reshape(KERNEL, outputs, height, -1)
    return functools.reduce(operator.add, (products[j, ..., j : j + width] for j in range(KERNEL)))


@jax.custom_vjp
def _scatter(image: Array, kernel: Array) -> Array:
    """One product, then shift and add, across rows and then along them: cheap if outputs are fewer than inputs."""
    inputs, height, width = image.shape
    padded = jnp.pad(image, ((0, 0), (REACH, REACH), (0, 0)))
    weights = kernel.transpose(0, 1, 3, 2).reshape(-1, inputs)
    products = _product(weights, padded.reshape(inputs, -1)).reshape(KERNEL, KERNEL, -1, height + 2 * REACH, width)
    columns = functools.reduce(operator.add, (products[i, :, :, i : i + height] for i in range(KERNEL)))
    columns = lax.optimization_barrier(jnp.pad(columns, ((0, 0), (0, 0), (0, 0), (REACH, REACH))))
    return functools.reduce(operator.add, (columns[j, ..., j : j + width] for j in range(KERNEL)))


def _scatter_forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _scatter(image, kernel), (image, kernel)


def _scatter_backward(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """Both gradients are products with the incoming gradient's windows, which are small: it has few channels."""
    image, kernel = residuals
    inputs, outputs = kernel.shape[2:]
    windows = _windows(gradient, KERNEL)
    turned = kernel[::-1, ::-1].transpose(2, 3, 0, 1).reshape(inputs, -1)
    to_kernel = (windows @ image.reshape(inputs, -1).T).reshape(outputs, KERNEL, KERNEL, inputs)
    return _product(turned, windows).reshape(image.shape), to_kernel[:, ::-1, ::-1].transpose(1, 2, 3, 0)


_scatter.defvjp(_scatter_forward, _scatter_backward)


def _phase_kernels(kernel: Array) -> Array:
    """The kernel placed at each of the four pixels of a pooling cell: [4 * outputs, 36]."""
    outputs = kernel.shape[3]
    return jnp.concatenate(
        [
            jnp.pad(kernel[:, :, 0], ((i, 1 - i), (j, 1 - j), (0, 0))).reshape(-1, outputs).T
            for i in (0, 1)
            for j in (0, 1)
        ]
    )


def _cell_windows(image: Array) -> Array:
    return _windows(image[None], KERNEL + 1, stride=2)


@jax.custom_vjp
def _phases_relu_pool(image: Array, kernel: Array) -> Array:
    return _phases_forward(image, kernel)[0]


def _phases_forward(image: Array, kernel: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    largest, *others = jnp.split(_product(_phase_kernels(kernel), _cell_windows(image)), 4)
    winner = jnp.zeros(largest.shape, jnp.int8)
    for number, filtered in enumerate(others, 1):
        winner = jnp.where(filtered > largest, jnp.int8(number), winner)
        largest = jnp.maximum(filtered, largest)
    winner = jnp.where(largest > 0, winner, jnp.int8(4))  # 4: the ReLU outputs 0, no phase gets a gradient
    pooled = jax.nn.relu(largest).reshape(-1, image.shape[0] // 2, image.shape[1] // 2)
    return pooled, (image, kernel, winner)


def _phases_backward(residuals: tuple[Array, Array, Array], gradient: Array) -> tuple[Array, Array]:
    image, kernel, winner = residuals
    gradient = gradient.reshape(winner.shape)
    windows, image_transpose = jax.vjp(_cell_windows, image)
    phases, kernel_transpose = jax.vjp(_phase_kernels, kernel)
    routed = jnp.concatenate([jnp.where(winner == number, gradient, 0) for number in range(4)])
    return image_transpose(_product(phases.T, routed))[0], kernel_transpose(routed @ windows.T)[0]


_phases_relu_pool.defvjp(_phases_forward, _phases_backward)
