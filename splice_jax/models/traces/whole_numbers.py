"""JPEG as libjpeg computes it, in whole numbers, to the last bit: colours, the "slow" integer DCT, quantization.

Between two quantization steps the rounding of a transform decides, and a photograph that was compressed before lies
there often. libjpeg's butterflies (jfdctint.c and jidctint.c, after Loeffler, Ligtenberg and Moschytz, ICASSP 1989)
multiply by whole numbers and round once per pass: a pass is the product with a matrix of whole numbers, half of it for
the sums of mirrored values, half for their differences.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int32

_SCALE = 13
"""Bits after the point of the matrix."""
_EXTRA = 2
"""Bits after the point of what the first pass hands to the second."""
_GAIN = 3
"""Forward coefficients are 8 times the orthonormal ones."""
_COLOUR = 16
"""Bits after the point of the colours' constants."""

CutPlanes = Int32[Array, "planes 8 8 rows columns"]
"""Cut into blocks, whose sides come first: the long sides stay together in memory, and nothing has to be turned."""


def _butterflies() -> tuple[np.ndarray, np.ndarray]:
    """What the forward butterflies make of four sums and of four differences: rows are even and odd frequencies."""
    a, b, c, d, e, f, g, h, i, j, k, m = (
        round(constant * 2**_SCALE)
        for constant in (
            0.298631336, 0.390180644, 0.541196100, 0.765366865, 0.899976223, 1.175875602,
            1.501321110, 1.847759065, 1.961570560, 2.053119869, 2.562915447, 3.072711026,
        )
    )  # fmt: skip
    one = 2**_SCALE
    s0, s1, s2, s3 = d7, d6, d5, d4 = np.eye(4, dtype=np.int32)
    half = c * (s0 - s3 + s1 - s2)
    even = one * (s0 + s1 + s2 + s3), half + d * (s0 - s3), one * (s0 - s1 - s2 + s3), half - h * (s1 - s2)
    both = f * (d4 + d5 + d6 + d7)
    z1, z2, z3, z4 = -e * (d4 + d7), -k * (d5 + d6), both - i * (d4 + d6), both - b * (d5 + d7)
    odd = g * d7 + z1 + z4, m * d6 + z2 + z3, j * d5 + z2 + z4, a * d4 + z1 + z3
    return np.stack(even), np.stack(odd)


_EVEN, _ODD = _butterflies()
_TO_YCC = np.array([[19595, 38470, 7471], [-11058, -21710, 32768], [32768, -27439, -5329]], np.int32)
_YCC_OFFSET = np.array([2**15, 2**23 + 2**15 - 1, 2**23 + 2**15 - 1], np.int32)
_TO_RGB = np.array([[2**16, 0, 91881], [2**16, -22554, -46802], [2**16, 116130, 0]], np.int32)
_RGB_OFFSET = np.full(3, 2**15, np.int32) - 128 * _TO_RGB[:, 1:].sum(1)


def to_ycc(rgb: Int32[Array, "3 *place"]) -> Int32[Array, "3 *place"]:
    """Luma and chroma, 0 … 255."""
    return _colours(rgb, _TO_YCC, _YCC_OFFSET)


def to_rgb(ycc: Int32[Array, "3 *place"]) -> Int32[Array, "3 *place"]:
    """The inverse, up to its rounding; cut off at 0 and 255."""
    return jnp.clip(_colours(ycc, _TO_RGB, _RGB_OFFSET), 0, 255)


def spectra(levels: CutPlanes) -> CutPlanes:
    """8 times the orthonormal DCT coefficients, by vertical and horizontal frequency, of levels 0 … 255."""
    along_rows = _forward(levels - 128, 2, _SCALE - _EXTRA)
    return _forward(along_rows, 1, _SCALE + _EXTRA)


def quantised(spectra: CutPlanes, steps: Int32[np.ndarray, "planes 8 8 1 1"]) -> CutPlanes:
    """Multiples of the steps, 1 … 255; ties away from zero."""
    size = np.float32(2**_GAIN) * steps.astype(np.float32)
    # Half a unit more changes no whole quotient, and guards it against the rounding of the product.
    multiple = jnp.floor((jnp.abs(spectra).astype(jnp.float32) + size / 2 + 0.5) * (1 / size))
    return jnp.sign(spectra) * multiple.astype(jnp.int32)


def levels(coefficients: CutPlanes) -> CutPlanes:
    """Levels, 0 … 255, of coefficients."""
    along_columns = _inverse(coefficients, 1, _SCALE - _EXTRA)
    return jnp.clip(_inverse(along_columns, 2, _SCALE + _EXTRA + _GAIN) + 128, 0, 255)


def _forward(values: CutPlanes, axis: int, shift: int) -> CutPlanes:
    first, last = lax.slice_in_dim(values, 0, 4, axis=axis), lax.slice_in_dim(values, 4, 8, axis=axis)
    last = jnp.flip(last, axis)
    halves = _product(_EVEN, first + last, axis), _product(_ODD, first - last, axis)
    return _rounded(jnp.stack(halves, axis + 1).reshape(values.shape), shift)


def _inverse(values: CutPlanes, axis: int, shift: int) -> CutPlanes:
    even, odd = (lax.slice_in_dim(values, first, 8, 2, axis) for first in (0, 1))
    even, odd = _product(_EVEN.T, even, axis), _product(_ODD.T, odd, axis)
    return _rounded(jnp.concatenate([even + odd, jnp.flip(even - odd, axis)], axis), shift)


def _product(matrix: Int32[np.ndarray, "4 4"], values: Array, axis: int) -> Array:
    """Along one axis; on a CPU, XLA is faster with sixteen products than with one small matrix."""
    column = [4 if each == axis else 1 for each in range(values.ndim)]
    parts = [matrix[:, i].reshape(column) * lax.slice_in_dim(values, i, i + 1, axis=axis) for i in range(4)]
    return parts[0] + parts[1] + parts[2] + parts[3]


def _rounded(values: Array, shift: int) -> Array:
    """Divided by 2 to the power of `shift`, ties upwards."""
    return (values + (1 << shift - 1)) >> shift


def _colours(planes: Array, matrix: np.ndarray, offset: np.ndarray) -> Array:
    rest = [3, *[1] * (planes.ndim - 1)]
    mixed = [matrix[:, k].reshape(rest) * planes[k] for k in range(3)]
    return (mixed[0] + mixed[1] + mixed[2] + offset.reshape(rest)) >> _COLOUR
