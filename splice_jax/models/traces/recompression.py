"""JPEG compression without a codec, and the error that it makes: small where a picture was compressed so before."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from splice_jax.jpeg import STANDARD_CHROMA_TABLE, STANDARD_TABLE, ZIGZAG, scaled_table
from splice_jax.models.traces.frequencies import BASIS
from splice_jax.models.traces.planes import FLOOR, cut_blocks, join_blocks

QUALITIES = (60, 75, 85, 92, 97)

_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136286, -0.714136286], [1, 1.772, 0]], np.float32)
_MIDDLE = np.array([0, 128, 128], np.float32)[:, None, None, None]


def ycc(image: Float32[Array, "height width 3"]) -> Float32[Array, "3 height width"]:
    """Luma and the two chroma planes as JPEG stores them (ITU-T T.871), not rounded: 0 … 255."""
    return jnp.einsum("hwc,kc->khw", image, _TO_YCC) + _MIDDLE[:, 0]


def recompress(image: Float32[Array, "height width 3"], quality: int) -> Float32[Array, "height width 3"]:
    """What libjpeg would decode after compressing at `quality` without subsampling, up to its rounding: whole levels.

    Args:
        image: whole levels, with sides that are multiples of 8.
        quality: 1 … 100.
    """
    blocks = _recompressed(_spectra(_blocks(image)), _zigzag_tables(quality))
    return jnp.moveaxis(jax.vmap(join_blocks)(blocks), 0, -1)


def errors(image: Float32[Array, "height width 3"]) -> Float32[Array, "rows columns qualities"]:
    """Log mean absolute error of recompression at each of `QUALITIES`, in levels, per block.

    N. Krawetz, 2007 (row `ela`); H. Farid, IEEE TIFS 4, 2009 (row `ghost`).
    """
    blocks = _blocks(image)
    spectra = _spectra(blocks)
    changes = [jnp.abs(blocks - _recompressed(spectra, _zigzag_tables(quality))).mean((0, -1)) for quality in QUALITIES]
    return jnp.log(jnp.stack(changes, -1) + FLOOR)


def _zigzag_tables(quality: int) -> Float32[np.ndarray, "3 1 1 64"]:
    """The steps of luma and of both chroma planes."""
    rows, columns = np.array(ZIGZAG).T
    tables = [scaled_table(table, quality)[rows, columns] for table in (STANDARD_TABLE, *[STANDARD_CHROMA_TABLE] * 2)]
    return np.array(tables, np.float32)[:, None, None]


def _blocks(image: Array) -> Float32[Array, "3 rows columns 64"]:
    return jax.vmap(cut_blocks, 2)(image)


def _spectra(blocks: Array) -> Float32[Array, "3 rows columns 64"]:
    planes = jnp.rint(jnp.einsum("crbp,kc->krbp", blocks, _TO_YCC) + _MIDDLE)
    return (planes - 128) @ BASIS.T


def _recompressed(spectra: Array, steps: np.ndarray) -> Float32[Array, "3 rows columns 64"]:
    """RGB blocks; ties are rounded away from zero, as libjpeg does."""
    levels = jnp.sign(spectra) * jnp.floor(jnp.abs(spectra) / steps + 0.5)
    planes = jnp.clip(jnp.rint(levels * steps @ BASIS + 128), 0, 255) - _MIDDLE
    return jnp.clip(jnp.rint(jnp.einsum("krbp,ck->crbp", planes, _TO_RGB)), 0, 255)
