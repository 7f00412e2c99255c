"""The local network: from a 64x64 patch to 64 LSTM steps, and from those to a mask (Cun & Pun; Bappy et al.)."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from splice_jax.models.kernels.convolution import KERNEL, convolve, convolve_relu_pool, each
from splice_jax.models.kernels.initializers import kernels, paired_kernels
from splice_jax.models.kernels.lstm import LSTM
from splice_jax.patches import PATCH_SIZE

BLOCKS = 8  # a patch is cut into 8 x 8 blocks of 8 x 8 pixels
BLOCK_SIZE = PATCH_SIZE // BLOCKS
RESIDUAL_GAIN = 16.0
RELATIVE_GAIN = 0.5
LEAK = 0.1
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INPUT_NORMALIZATIONS = ("unit", "imagenet", "patch", "residual", "relative")
ACTIVATIONS = ("relu", "leaky_relu")
BLOCK_ORDERS = ("row", "column")


def imagenet_normalized(image: Float[Array, "... 3"]) -> Float[Array, "... 3"]:
    """Maps RGB in [0, 1] to ImageNet's zero mean and unit deviation per channel."""
    return (image - jnp.array(IMAGENET_MEAN)) / jnp.array(IMAGENET_STD)


def normalize(
    patch: UInt8[Array, "height width 3"], how: str, residual_level: Float[Array, ""] | float | None = None
) -> Float[Array, "height width 3"]:
    """The network's input. The residual is a pixel minus its 3x3 mean: traces of noise, sharpness, resampling, JPEG.

    Args:
        patch: RGB in 0..255.
        how: `unit` ([0, 1], the baseline), `imagenet`, `patch` (minus its mean), `residual`, or `relative`: the
            residual relative to the whole image's, so that a patch shows whether it is like the rest.
        residual_level: `images.residual_level` of the whole image; needed only for `relative`.

    Raises:
        ValueError: the residual level is needed but missing.
    """
    pixels = patch.astype(jnp.float32) / 255
    if how == "imagenet":
        return imagenet_normalized(pixels)
    if how == "patch":
        return pixels - pixels.mean((0, 1))
    if how == "residual":
        return RESIDUAL_GAIN * (pixels - _mean3x3(pixels))
    if how == "relative":
        if residual_level is None:
            raise ValueError("the input `relative` needs the images' residual levels")
        return RELATIVE_GAIN / residual_level * (pixels - _mean3x3(pixels))
    return pixels


def _mean3x3(image: Array) -> Array:
    padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def activate(values: Array, how: str) -> Array:
    """`relu` (the baseline) or `leaky_relu`, whose gradient does not vanish for negative values."""
    return jax.nn.relu(values) if how == "relu" else jax.nn.leaky_relu(values, LEAK)


def to_blocks(features: Float[Array, "n 64 64"], order: str) -> Float[Array, "64 n 64"]:
    """Cuts features into a sequence of 64 blocks of 64 values. `column` order is the baseline's transposition."""
    n = features.shape[0]
    blocks = features.reshape(n, BLOCKS, BLOCK_SIZE, BLOCKS, BLOCK_SIZE)
    axes = (1, 3, 0, 2, 4) if order == "row" else (3, 1, 0, 2, 4)
    return blocks.transpose(axes).reshape(BLOCKS**2, n, BLOCK_SIZE**2)


def from_tiles(sequence: Float[Array, "64 n hidden"]) -> Float[Array, "n side side"]:
    """Lays out each step's values as a square tile, row by row; side = 8 sqrt(hidden)."""
    _, n, hidden = sequence.shape
    tile = math.isqrt(hidden)
    tiles = sequence.reshape(BLOCKS, BLOCKS, n, tile, tile)
    return tiles.transpose(2, 0, 3, 1, 4).reshape(n, BLOCKS * tile, BLOCKS * tile)


class LocalFeatures(NamedTuple):
    """What the local network extracts from each patch."""

    sequence: Float[Array, "64 n hidden"]  # one LSTM output per block
    active: Float[Array, " n"]  # share of bottleneck pixels above zero; 0 or 1: the activation does nothing


class LocalNetwork(nn.Module):
    """Two convolutions down to a one-channel bottleneck, cut into blocks that a stacked LSTM reads."""

    hidden_size: int = 256
    num_layers: int = 3
    input_normalization: str = "residual"
    activation: str = "leaky_relu"
    block_order: str = "row"
    compute_dtype: str = "float32"
    initialization: str = "looks_linear"

    @nn.compact
    def __call__(
        self, patches: UInt8[Array, "n 64 64 3"], residual_levels: Float[Array, " n"] | None = None
    ) -> LocalFeatures:
        first = self.param("conv1", kernels(self.initialization), (KERNEL, KERNEL, 3, 16))
        second = self.param("conv2", kernels(self.initialization), (KERNEL, KERNEL, 16, 1))

        def encode(patch_and_level: tuple[Array, Array | None]) -> Array:
            patch, level = patch_and_level
            image = normalize(patch, self.input_normalization, level).transpose(2, 0, 1)
            features = activate(convolve(image, first), self.activation)
            return activate(convolve(features, second), self.activation)[0]

        bottleneck = each(encode, (patches, residual_levels))
        lstm = LSTM(self.hidden_size, self.num_layers, self.compute_dtype, self.initialization, name="lstm")
        sequence = lstm(to_blocks(bottleneck, self.block_order))
        return LocalFeatures(sequence, (bottleneck > 0).mean((1, 2)))


class MaskHead(nn.Module):
    """Turns tiles of LSTM outputs into per-pixel log-probabilities of (authentic, spliced).

    With `relu`, a channel before the last convolution can die; probabilities then hardly exceed 0.5.
    """

    activation: str = "leaky_relu"
    initialization: str = "looks_linear"

    @nn.compact
    def __call__(self, sequence: Float[Array, "64 n hidden"]) -> Float[Array, "n 64 64 2"]:
        # There are no biases. Without mirrored kernels, training at first only learns how far a tile is from zero: zero
        # means a probability of 0.5, everything else authentic, and hardly anything exceeds 0.5.
        first = self.param("conv1", paired_kernels(self.initialization, 3), (KERNEL, KERNEL, 1, 32))
        second = self.param("conv2", paired_kernels(self.initialization, 2, 3), (KERNEL, KERNEL, 32, 2))
        third = self.param("conv3", paired_kernels(self.initialization, 2, 3), (KERNEL, KERNEL, 2, 2))

        def decode(tiles: Array) -> Array:
            features = convolve(convolve_relu_pool(tiles, first), second)
            return convolve(activate(features, self.activation), third)

        logits = each(decode, from_tiles(sequence)).transpose(0, 2, 3, 1)
        if logits.shape[1] != PATCH_SIZE:  # hidden sizes other than 256 decode at another resolution
            logits = jax.image.resize(logits, (logits.shape[0], PATCH_SIZE, PATCH_SIZE, 2), "bilinear")
        return jax.nn.log_softmax(logits)
