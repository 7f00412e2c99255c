"""The JPEG that a file of another format was once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from splice_jax.examination.file.quality import Quality, estimate
from splice_jax.models.traces.reading import read


class EarlierJpeg(NamedTuple):
    """What pixels tell of the JPEG that they were decoded from."""

    quality: Quality
    """Of luma, as far as its steps show."""
    origin: tuple[int, int]
    """Row and column, 0 … 7, at which its first whole block begins; elsewhere than in the corner if it was cropped."""

    def __str__(self) -> str:
        """For a sentence.

        >>> str(EarlierJpeg(Quality(85, True), (5, 2)))
        'a JPEG of a quality of about 85, cropped since (its first whole block begins at row 5, column 2)'
        """
        cropped = ", cropped since (its first whole block begins at row {}, column {})".format(*self.origin)
        return f"a JPEG of a quality of about {self.quality.quality}{cropped if any(self.origin) else ''}"


def find_earlier_jpeg(image: UInt8[np.ndarray, "height width 3"]) -> EarlierJpeg | None:
    """What all of an upright picture was decoded from; None if it was changed since, or never was a JPEG."""
    if min(image.shape[:2]) < 8:
        return None
    reading = read(image)
    if not reading.shows_steps:
        return None
    table = tuple(tuple(int(step) for step in line) for line in reading.tables[0])
    return EarlierJpeg(estimate(table), reading.origin)
