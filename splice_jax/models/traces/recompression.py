"""JPEG compression without a codec, and the error that it makes: small where a picture was compressed so before."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, UInt8

from splice_jax.jpeg import STANDARD_CHROMA_TABLE, STANDARD_TABLE, scaled_table
from splice_jax.models.traces import whole_numbers
from splice_jax.models.traces.planes import BLOCK, FLOOR

QUALITIES = (60, 75, 85, 92, 97)

TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
"""Luma, Cb and Cr of red, green and blue as JPEG defines them (ITU-T T.871)."""
CHROMA_ZERO = 128
"""Level of Cb and Cr without colour."""
_MIDDLE = np.array([0, CHROMA_ZERO, CHROMA_ZERO], np.float32)[:, None, None]


def ycc(image: Float32[Array, "height width 3"]) -> Float32[Array, "3 height width"]:
    """Luma and the two chroma planes as JPEG defines them, not rounded: 0 … 255."""
    return jnp.einsum("hwc,kc->khw", image, TO_YCC) + _MIDDLE


def recompress(image: UInt8[Array, "height width 3"], quality: int) -> Int32[Array, "height width 3"]:
    """What libjpeg decodes after compressing at `quality` without subsampling, to the last bit.

    Args:
        image: with sides that are multiples of 8.
        quality: 1 … 100.
    """
    blocks = _recompressed(_spectra(_blocks(image)), quality)
    return blocks.transpose(3, 1, 4, 2, 0).reshape(image.shape)


def errors(image: UInt8[Array, "height width 3"]) -> Float32[Array, "rows columns qualities"]:
    """Log mean absolute error of recompression at each of `QUALITIES`, in levels, per block.

    N. Krawetz, 2007 (row `ela`); H. Farid, IEEE TIFS 4, 2009 (row `ghost`).
    """
    blocks = _blocks(image)
    spectra = _spectra(blocks)
    changes = [jnp.abs(blocks - _recompressed(spectra, quality)) for quality in QUALITIES]
    # As floats: on a CPU, XLA takes three times as long for sums of whole numbers.
    return jnp.log(jnp.stack([change.astype(jnp.float32).mean((0, 1, 2)) for change in changes], -1) + FLOOR)


def _blocks(image: Array) -> whole_numbers.CutPlanes:
    height, width, _ = image.shape
    return image.astype(jnp.int32).reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).transpose(4, 1, 3, 0, 2)


def _spectra(blocks: whole_numbers.CutPlanes) -> whole_numbers.CutPlanes:
    return whole_numbers.spectra(whole_numbers.to_ycc(blocks))


def _recompressed(spectra: whole_numbers.CutPlanes, quality: int) -> whole_numbers.CutPlanes:
    """In RGB."""
    tables = [scaled_table(table, quality) for table in (STANDARD_TABLE, *[STANDARD_CHROMA_TABLE] * 2)]
    steps = np.array(tables, np.int32)[..., None, None]
    return whole_numbers.to_rgb(whole_numbers.levels(whole_numbers.quantised(spectra, steps) * steps))
