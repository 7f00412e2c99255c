"""What the methods that read a JPEG's own coefficients have in common."""

from abc import abstractmethod

import numpy as np
from jaxtyping import Float, UInt8

from splice_jax.crf import otsu
from splice_jax.images import upright
from splice_jax.jpeg import BLOCK, Luma, NoCoefficientsError, read_luma
from splice_jax.methods.localizer import Found, Undefined
from splice_jax.methods.traces.trace import TraceLocalizer, normalize, spread


class CoefficientLocalizer(TraceLocalizer):
    """A method that needs the file; subclasses define `name` and `stored_response`."""

    cell = BLOCK
    smallest = BLOCK

    @abstractmethod
    def stored_response(self, luma: Luma) -> Float[np.ndarray, "rows columns"]:
        """Like `response`, for the luma as stored: before the EXIF orientation is applied."""

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """Pixels alone have no response.

        Raises:
          Undefined: always.
        """
        raise self._undefined("there are only pixels; give the JPEG file itself")

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """The upright map from the file's coefficients, and as its mask what is above the map's own threshold.

        Raises:
          Undefined: the image is smaller than `smallest`, the file holds no luma coefficients, or the response is the
            same everywhere.
        """
        self.require_size(image)
        try:
            luma = read_luma(encoded)
        except NoCoefficientsError as error:
            return self.without_coefficients(image, str(error))
        height, width = luma.plane.shape
        response = self.stored_response(luma)
        self.require_contrast(response)
        stored = spread(normalize(response), (height, width), self.cell)
        probability = upright(stored, luma.orientation)
        return Found(probability, probability >= otsu(probability))

    def without_coefficients(self, image: UInt8[np.ndarray, "height width 3"], reason: str) -> Found:
        """Handles a file without luma coefficients; a method that can use pixels overrides this.

        Raises:
          Undefined: with the reason, unless overridden.
        """
        raise self._undefined(reason)

    def _undefined(self, reason: str) -> Undefined:
        return Undefined(f"row {self.name} reads JPEG coefficients, and {reason}")
