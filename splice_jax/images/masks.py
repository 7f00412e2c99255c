"""Reading ground-truth masks: what is white, and which pictures are no masks.

Wrong ground truth is worse than an error, so nothing is guessed: white is the largest value that the file's type can
hold, or 1, or 255 in a 16-bit file; of what lossy compression leaves of white, values from 224 on.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

from splice_jax.errors import UserError
from splice_jax.images.orientation import upright
from splice_jax.images.reading import Stored, read_stored, title_of

LOSSY_WHITE = 224
"""The least value of white, of 255, that lossy compression may leave."""

MOST_BETWEEN, MOST_COLOURED, MOST_COLOURED_OF_MARKED = 0.01, 0.01, 0.1
"""Shares: of values neither black nor white without a warning; of coloured pixels in all, and in what is marked."""

_WHAT_A_MASK_IS = "a mask is grey, 255 = spliced and 0 = authentic"


class Mask(NamedTuple):
    """A mask, True where spliced, and what is to be said about its file."""

    spliced: Bool[np.ndarray, "height width"]
    """As stored: not yet turned by `orientation`."""
    orientation: int = 1
    """EXIF orientation, 1 … 8; see `images.upright`."""
    notes: tuple[str, ...] = ()
    """Warnings, without the file's name."""


def read_mask(source: str | Path | bytes, *, name: str = "") -> Bool[np.ndarray, "height width"]:
    """Reads a ground-truth mask, upright by its EXIF orientation: True where it is spliced. All black is authentic.

    Raises:
      UserError: as `read_image`; for a mask in colours or with a varying alpha, and for one without white.
    """
    mask = mask_of(source, name=name)
    return upright(mask.spliced, mask.orientation)


def mask_of(source: str | Path | bytes, *, name: str = "") -> Mask:
    """Like `read_mask`, but as stored, and with what the user has to be told. Raises UserError as `read_mask`."""
    title = title_of(source, name)
    stored = read_stored(source, name, with_alpha=True)
    if stored.alpha is not None and stored.alpha[0] != stored.alpha[1]:
        low, high = stored.alpha
        raise UserError(
            f"{title}: a mask whose alpha varies, {low} to {high}; save it without alpha: {_WHAT_A_MASK_IS}"
        )
    white = _white(stored, title)
    if white == 0:
        return Mask(np.zeros(stored.values.shape[:2], bool), stored.orientation, stored.notes)
    spliced = stored.values > white // 2
    if spliced.ndim == 3:
        _refuse_coloured(spliced, title)
        spliced = np.ascontiguousarray(spliced[:, :, 1])
    return Mask(spliced, stored.orientation, stored.notes + _between(stored, white))


def _white(stored: Stored, title: str) -> int:
    """The value of white; 0 if everything is black."""
    largest = int(stored.values.max())
    if stored.halved and largest <= 1:
        raise UserError(f"{title}: a mask of 16 bits in colour with values below 512; save it with 8 bits, in grey")
    if stored.lossy and largest >= LOSSY_WHITE:
        return stored.white
    ends = (0, 1, stored.white, 255) if stored.white > 255 else (0, 1, stored.white)
    if largest in ends and not (stored.lossy and largest == 1):
        return largest
    values = np.unique(stored.values)
    some = ", ".join(map(str, values[:6])) + (f", ... {values[-1]}" if len(values) > 6 else "")
    raise UserError(f"{title}: a mask with the values {some}, where white would be {stored.white}; {_WHAT_A_MASK_IS}")


def _refuse_coloured(spliced: Bool[np.ndarray, "height width 3"], title: str) -> None:
    marked = spliced.any(axis=2)
    coloured = np.count_nonzero(marked != spliced.all(axis=2))
    if coloured > MOST_COLOURED * marked.size or coloured > MOST_COLOURED_OF_MARKED * np.count_nonzero(marked):
        raise UserError(f"{title}: a mask in colours; {_WHAT_A_MASK_IS}")


def _between(stored: Stored, white: int) -> tuple[str, ...]:
    """A warning if many values are neither black nor white."""
    low, high = (255 - LOSSY_WHITE, LOSSY_WHITE) if stored.lossy else (0, white)
    share = float(_share_between(stored.values, low, high))
    return (f"{share:.1%} of the mask's values are neither black nor white",) if share > MOST_BETWEEN else ()


def _share_between(values: Shaped[np.ndarray, "..."], low: int, high: int) -> float:
    return np.count_nonzero((values > low) & (values < high)) / values.size
