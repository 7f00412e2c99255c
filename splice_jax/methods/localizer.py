"""The interface of every method: a `Localizer`, image in, probability map out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from splice_jax.errors import UserError

PASTS = ("jpeg", "no jpeg", "shifted jpeg", "resized")
"""What may be told of a photograph's past before its traces are looked at: whether it is a JPEG or its pixels show that
it was one, whether the blocks of such pixels begin elsewhere than in the corner, and whether it was resized."""


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

    score: float | None = None
    """Calibrated probability that the image is spliced, in [0, 1], if half of all images were; None where a method has
    none."""

    alarm: float | None = None
    """Share of authentic calibration photographs that score at least as high, in [0, 1]; None where a method has no
    score."""

    valid: Bool[np.ndarray, "height width"] = None  # type: ignore[assignment]  # all of it, unless given
    """Where the method can say something; everywhere unless given. It changes no score."""

    def __post_init__(self) -> None:
        if self.valid is None:
            object.__setattr__(self, "valid", np.ones(self.probability.shape, bool))  # type: ignore[unreachable]

    def further_scores(self, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
        """Scores other than the map's, by name, given the true mask; none, unless a method overrides this."""
        return {}


class Localizer(ABC):
    """Image in, probability map out."""

    name: str
    variables: Mapping[str, Any] = {}
    """The Flax variables of a method with a network; empty for the others."""
    looks_for: str = ""
    """The trace, and what counts as spliced, in one sentence for readers who know nothing of the field."""
    weakened_by: Mapping[str, str] = {}
    """What in a photograph's past makes the map say less, by its name in `PASTS`, and why, for such readers."""
    smallest: int = 1
    """Shorter side, in pixels, of the smallest image that the method can judge."""
    window: int | None = None
    """Side, in pixels, of what it needs to judge one place; None: as much as of an image."""
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

    def localize_file(self, path: str | Path) -> Found:
        """Localizes the spliced region of an image file, with whatever the method can read from the file itself.

        Raises:
          Undefined: such a file cannot carry the method's trace.
          UserError: the file cannot be read.
        """
        from splice_jax.files import read_bytes  # Methods can be named without Pillow.
        from splice_jax.images import read_image

        encoded = read_bytes(path)
        return self.localize_encoded(read_image(encoded, name=str(path)), encoded)

    def require_size(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Raises `Undefined` if the image is smaller than `smallest`."""
        height, width = image.shape[:2]
        if min(height, width) < self.smallest:
            least = f"{self.smallest}x{self.smallest}"
            raise Undefined(f"row {self.name} needs an image of at least {least} pixels; this one has {width}x{height}")
