"""The check of a photograph before any pixel of it is decoded."""

from splice_jax.errors import UserError
from splice_jax.examination.file.jpeg_structure import read_structure
from splice_jax.images import pixels_stated
from splice_jax.serve.limits import Limits

_START_OF_SCAN = b"\xff\xda"


def refuse_costly(encoded: bytes, limits: Limits) -> None:
    """Raises UserError where a photograph has more pixels or scans than is allowed."""
    pixels = pixels_stated(encoded)
    if pixels > limits.megapixels * 10**6:
        raise UserError(
            f"{pixels / 1e6:.1f} megapixels, and this page takes up to {limits.megapixels}; scale it down or cut it"
        )
    scans = _scans(encoded)
    if scans > limits.scans:
        raise UserError(f"a JPEG of {scans:,} scans, and this page takes up to {limits.scans}; save it anew")


def _scans(encoded: bytes) -> int:
    """Scans of a JPEG; where its markers are broken, at most as many as there can be: decoders read on, we do not."""
    found = read_structure(encoded)
    if found is None:
        return 0
    return max(found.scans, encoded.count(_START_OF_SCAN)) if found.problem else found.scans
