"""The JPEG that a file of another format was once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from splice_jax.examination.file.quality import estimate
from splice_jax.models.traces.decoded import decoded_luma


class EarlierJpeg(NamedTuple):
    """What pixels tell of the JPEG that they were decoded from."""

    quality: int
    """1 … 100, of the standard's table that is nearest to the steps of luma that show."""
    origin: tuple[int, int]
    """Row and column, 0 … 7, at which its first whole block begins; elsewhere than in the corner if it was cropped,
    turned or framed since."""

    @property
    def shifted(self) -> bool:
        """Whether its blocks begin elsewhere than in the corner."""
        return self.origin != (0, 0)

    def __str__(self) -> str:
        """For a sentence.

        >>> str(EarlierJpeg(85, (5, 2)))
        'a JPEG of a quality of about 85, cropped, turned or framed since (its blocks begin at row 5, column 2)'
        """
        row, column = self.origin
        since = f", cropped, turned or framed since (its blocks begin at row {row}, column {column})"
        return f"a JPEG of a quality of about {self.quality}{since if self.shifted else ''}"


def find_earlier_jpeg(image: UInt8[np.ndarray, "height width 3"]) -> EarlierJpeg | None:
    """What an upright picture was decoded from; None if much was changed since, or it never was a JPEG."""
    found = decoded_luma(image)
    if found is None:
        return None
    table = tuple(tuple(int(step) for step in line) for line in found.steps)
    return EarlierJpeg(estimate(table, known=found.sure).quality, found.origin)
