"""The interface of every method: a `Localizer`, image in, probability map out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from splice_jax.errors import UserError


class Undefined(UserError):
    """A method cannot judge this file, for the reason given: it gets no score there, rather than a score of 0."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a localizer found in one image."""

    probability: Float32[np.ndarray, "height width"]
    """In [0, 1]; higher means more likely spliced."""

    mask: Bool[np.ndarray, "height width"]
    """The region judged spliced, after the CRF if there is one."""

    label_probability: Float32[np.ndarray, "rows columns"] | None = None
    """In [0, 1], one per patch of the grid; None for methods without a label head."""

    def scores(self, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
        """Scores other than the map's, by name, given the true mask; none, unless a method overrides this."""
        return {}


class Localizer(ABC):
    """Image in, probability map out."""

    name: str
    variables: Mapping[str, Any] = {}
    """The Flax variables of a method with a network; empty for the others."""
    labels: bool = True
    """Whether `Found.label_probability` is needed; if not, whatever only the labels depend on is not computed."""

    @abstractmethod
    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image of any size.

        Raises:
          Undefined: such an image cannot carry the method's trace, or the method needs the image's file.
        """

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """Like a call, for when the file that the image was decoded from is available.

        Methods that read what decoding discards, such as JPEG coefficients, override this.

        Args:
          image: the file's pixels as `read_image` returns them: upright.
          encoded: the file's bytes.

        Raises:
          Undefined: such a file cannot carry the method's trace.
        """
        return self(image)
