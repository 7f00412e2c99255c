"""The network of `sgt`, Semi-Global Traces: traces of every block, judged beside the traces of the whole image.

The Semi-Global Network of Cun & Pun judges a patch beside a thumbnail of the image. Here both sides are traces: a local
branch sees a block's surroundings, and attention compares them with the whole image, pooled. Neither branch knows where
in the image it is, and every normalisation is over one position's channels, so images of any size can be padded to a
common one without a change.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

MOST_KEYS = 1296
"""Places at most that the whole image is pooled to."""
LEAST_POOL = 2
"""Side, in positions, of the squares that are pooled in small images."""
QUERIES_AT_A_TIME = 4096
SLOPE = 0.1
"""Of the leaky ReLU."""

_FINE_WIDTH = 16
_COLOUR_WIDTH = 8


class Logits(NamedTuple):
    """Log odds of a splice."""

    blocks: Float32[Array, "n rows columns"]
    """Per block of 8x8 pixels, from traces alone."""
    fine: Float32[Array, "n 2*rows 2*columns"]
    """Per 4x4 pixels, with the image's edges."""
    image: Float32[Array, " n"]
    """Of there being a splice in the image."""


class SemiGlobalTraces(nn.Module):
    """The network.

    width: channels of the local branch, per block. depth: channels of the global branch, per 2x2 blocks. layers, heads:
    of the attention.
    """

    width: int = 48
    depth: int = 96
    layers: int = 3
    heads: int = 4

    @nn.compact
    def __call__(
        self,
        traces: Float32[Array, "n rows columns traces"],
        colours: Float32[Array, "n 2*rows 2*columns 3"],
        inside: Float32[Array, "n rows columns"],
    ) -> Logits:
        """The log odds.

        Args:
            traces: standardised; rows and columns are even.
            colours: mean RGB of 4x4 pixels, in ±1.
            inside: 1 for the image's own blocks, 0 for padding, whose logits mean nothing.
        """
        own = inside[..., None]
        local = Residual(self.width, name="local")(nn.Dense(self.width, name="enter")(traces), own)
        place = _pooled(own, 2)[1]
        deep = _convolution(self.depth, 2, "down")(local * own)
        for index in range(2):
            deep = Residual(self.depth, name=f"deep{index}")(deep, place)
        for index in range(self.layers):
            deep = SemiGlobalAttention(self.heads, name=f"attention{index}")(deep, place)
        joined = local + _doubled(nn.Dense(self.width, name="up")(deep))
        judged = _leaky(Residual(self.width, name="judge")(joined, own))
        blocks = nn.Dense(1, name="blocks")(judged)[..., 0]
        fine = _doubled(blocks[..., None])[..., 0] + self._corrections(judged, colours, own)
        return Logits(blocks, fine, self._of_image(judged, blocks, inside))

    def _corrections(self, judged: Array, colours: Array, own: Array) -> Array:
        """What the image's edges add to the blocks' logits; nothing before training."""
        own = _doubled(own)
        seen = _leaky(_convolution(_COLOUR_WIDTH, 1, "colours")(colours * own))
        fine = jnp.concatenate([_doubled(nn.Dense(_FINE_WIDTH, name="fine")(judged)), seen], -1)
        for index in range(2):
            fine = _leaky(_convolution(_FINE_WIDTH, 1, f"fine{index}")(fine * own))
        return nn.Dense(1, name="correction", kernel_init=nn.initializers.zeros)(fine)[..., 0]

    def _of_image(self, judged: Array, blocks: Array, inside: Array) -> Array:
        """From features averaged over the image and over what looks spliced, and from the map's level and peak."""
        count = inside.sum((1, 2))[:, None] + 1e-6
        weight = jax.nn.sigmoid(blocks) * inside
        everywhere = (judged * inside[..., None]).sum((1, 2)) / count
        suspicious = (judged * weight[..., None]).sum((1, 2)) / (weight.sum((1, 2))[:, None] + 1)
        levels = [_soft_maximum(blocks, inside, sharpness) for sharpness in (0.25, 1.0, 4.0)]
        share = weight.sum((1, 2)) / count[:, 0]
        seen = jnp.concatenate([everywhere, suspicious, jnp.stack([*levels, share], -1)], -1)
        return nn.Dense(1, name="image")(_leaky(nn.Dense(self.width, name="pool")(seen)))[..., 0]


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `own` is 1 inside the image."""

    width: int

    @nn.compact
    def __call__(self, values: Array, own: Array) -> Array:
        hidden = _convolution(self.width, 1, "first")(_leaky(nn.LayerNorm(name="norm0")(values)) * own)
        return values + _convolution(self.width, 1, "second")(_leaky(nn.LayerNorm(name="norm1")(hidden)) * own)


class SemiGlobalAttention(nn.Module):
    """Every position looks at the whole image, pooled to at most `MOST_KEYS` places; then a small dense network."""

    heads: int

    @nn.compact
    def __call__(
        self, values: Float32[Array, "n rows columns depth"], own: Float32[Array, "n rows columns 1"]
    ) -> Array:
        count, rows, columns, depth = values.shape
        normal = nn.LayerNorm(name="norm0")(values)
        pooled, known = _pooled(normal * own, pool_side(rows, columns), own)
        query = nn.DenseGeneral((self.heads, depth // self.heads), name="query")(normal.reshape(count, -1, depth))
        places = pooled.reshape(count, -1, depth)
        key, value = (
            nn.DenseGeneral((self.heads, depth // self.heads), name=name)(places) for name in ("key", "value")
        )
        looked = _attend(query, key, value, known.reshape(count, -1) > 0).reshape(values.shape)
        values = values + nn.Dense(depth, name="out")(looked)
        hidden = nn.gelu(nn.Dense(3 * depth, name="widen")(nn.LayerNorm(name="norm1")(values)))
        return values + nn.Dense(depth, name="narrow")(hidden)


def pool_side(rows: int, columns: int) -> int:
    """Side of the squares that the whole image's positions are pooled by: a power of two."""
    least = math.sqrt(rows * columns / MOST_KEYS)
    return max(LEAST_POOL, 2 ** math.ceil(math.log2(least)) if least > 1 else 1)


def _attend(query: Array, key: Array, value: Array, known: Array) -> Array:
    """Attention of [n, positions, heads, c] over [n, places, heads, c], some positions at a time."""
    scale = query.shape[-1] ** -0.5
    silent = jnp.where(known, 0, -1e9)[:, None, None]

    def some(query: Array) -> Array:
        weights = jax.nn.softmax(jnp.einsum("nqhc,nkhc->nhqk", query * scale, key) + silent, axis=-1)
        return jnp.einsum("nhqk,nkhc->nqhc", weights, value)

    positions = query.shape[1]
    if positions <= QUERIES_AT_A_TIME:
        return some(query)
    missing = -positions % QUERIES_AT_A_TIME
    parts = jnp.pad(query, ((0, 0), (0, missing), (0, 0), (0, 0)))
    parts = parts.reshape(len(query), -1, QUERIES_AT_A_TIME, *query.shape[2:]).swapaxes(0, 1)
    found = jax.lax.map(some, parts).swapaxes(0, 1)
    return found.reshape(len(query), -1, *query.shape[2:])[:, :positions]


def _pooled(values: Array, side: int, own: Array | None = None) -> tuple[Array, Array]:
    """Means over squares of positions inside the image, and 1 for squares that have any; `values` are 0 outside."""
    own = values if own is None else own
    padding = [(0, 0), *((0, -length % side) for length in values.shape[1:3]), (0, 0)]

    def total(array: Array) -> Array:
        padded = jnp.pad(array, padding)
        count, rows, columns, channels = padded.shape
        return padded.reshape(count, rows // side, side, columns // side, side, channels).sum((2, 4))

    number = total(own)
    return total(values) / jnp.maximum(number, 1), jnp.minimum(number, 1)


def _soft_maximum(values: Array, inside: Array, sharpness: float) -> Array:
    """Log of the mean exponential: near the mean for small sharpness, near the maximum for large."""
    weight = jnp.where(inside > 0, sharpness * values, -jnp.inf)
    return (jax.nn.logsumexp(weight, (1, 2)) - jnp.log(inside.sum((1, 2)) + 1e-6)) / sharpness


def _convolution(width: int, stride: int, name: str) -> nn.Conv:
    return nn.Conv(width, (3, 3), (stride, stride), padding=1, name=name)


def _doubled(values: Array) -> Array:
    return values.repeat(2, 1).repeat(2, 2)


def _leaky(values: Array) -> Array:
    return nn.leaky_relu(values, SLOPE)
