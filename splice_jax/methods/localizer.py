"""What every row of the comparison is: a `Localizer`, image in, probability map out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from splice_jax.errors import UserError


class Undefined(UserError):
    """A row cannot say anything about this file, for the reason given: it has no score there, not a score of 0."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a localizer found in one image."""

    probability: Float32[np.ndarray, "height width"]
    """In [0, 1]; higher means more likely spliced."""

    mask: Bool[np.ndarray, "height width"]
    """The region called spliced, after the CRF where one is chosen."""

    label_probability: Float32[np.ndarray, "rows columns"] | None = None
    """In [0, 1], one per patch of the grid; None for rows without a label head."""

    def scores(self, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
        """What can be scored beside the map, by its name, given the truth; nothing, but for rows that say otherwise."""
        return {}


class Localizer(ABC):
    """Image in, probability map out."""

    name: str
    variables: Mapping[str, Any] = {}
    """The Flax variables of a network row; empty for the others."""
    labels: bool = True
    """Whether `Found.label_probability` is wanted; where it is not, what only the labels depend on is not computed."""

    @abstractmethod
    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image of any size.

        Raises:
          Undefined: the row's trace cannot be in such an image, or needs the file that it came from.
        """

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """As a call, where the file is at hand that the image was decoded from.

        Rows that read what decoding throws away, as JPEG coefficients, have this method of their own.

        Args:
          image: the file's pixels as `read_image` gives them: upright.
          encoded: the file's bytes.

        Raises:
          Undefined: the row's trace cannot be in such a file.
        """
        return self(image)
