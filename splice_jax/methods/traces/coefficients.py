"""What the methods that read a JPEG's own coefficients have in common.

They are the file's, or, where there is no JPEG but its pixels, those that the pixels show.
"""

from abc import abstractmethod

import numpy as np
from jaxtyping import Float, UInt8

from splice_jax.crf import otsu
from splice_jax.images import as_stored, upright
from splice_jax.jpeg import BLOCK, Luma, NoCoefficientsError, read_luma
from splice_jax.methods.localizer import Found, Undefined
from splice_jax.methods.traces.trace import TraceLocalizer, normalize, spread

_ONLY_PIXELS = "there are only pixels, which show none; give the JPEG file itself"


class CoefficientLocalizer(TraceLocalizer):
    """A method that needs coefficients; subclasses define `name` and `stored_response`."""

    cell = BLOCK
    smallest = BLOCK

    @abstractmethod
    def stored_response(self, luma: Luma) -> Float[np.ndarray, "rows columns"]:
        """Like `response`, for the luma as stored: before the EXIF orientation is applied."""

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """Pixels as such have no response.

        Raises:
          Undefined: always.
        """
        raise self._undefined(_ONLY_PIXELS)

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """The map from the coefficients that the pixels show, if they were decoded from a JPEG.

        Raises:
          Undefined: the image is smaller than `smallest`, its pixels show none, or the response is the same everywhere.
        """
        self.require_size(image)
        return self._of_pixels(image, _ONLY_PIXELS)

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """The upright map from the file's coefficients, and as its mask what is above the map's own threshold.

        Of a file that has none, as a call.

        Raises:
          Undefined: the image is smaller than `smallest`, neither file nor pixels show luma coefficients, or the
            response is the same everywhere.
        """
        self.require_size(image)
        try:
            luma = read_luma(encoded)
        except NoCoefficientsError as error:
            return self._of_pixels(image, f"{error}; its pixels show none either")
        return self._of(image, luma)

    def without_coefficients(self, image: UInt8[np.ndarray, "height width 3"], why: Undefined) -> Found:
        """The map of pixels that show no coefficients, or the same everywhere; for methods that can use them as such.

        Raises:
          Undefined: `why`, unless overridden.
        """
        raise why

    def _of_pixels(self, image: np.ndarray, reason: str) -> Found:
        from splice_jax.models.traces.decoded import decoded_luma  # loads JAX

        decoded = decoded_luma(image)
        if decoded is None or min(decoded.plane.shape) < self.smallest:
            return self.without_coefficients(image, self._undefined(reason))
        try:
            return self._of(image, Luma(decoded.plane, decoded.steps.astype(np.uint16), 1), decoded.origin)
        except Undefined as flat:
            return self.without_coefficients(image, flat)

    def _of(self, image: np.ndarray, luma: Luma, origin: tuple[int, int] = (0, 0)) -> Found:
        response = self.stored_response(luma)
        self.require_contrast(response)
        height, width = as_stored(image, luma.orientation).shape[:2]
        stored = spread(normalize(response), (height, width), self.cell, origin=origin)
        probability = upright(stored, luma.orientation)
        return Found(probability, probability >= otsu(probability))

    def _undefined(self, reason: str) -> Undefined:
        return Undefined(f"row {self.name} reads JPEG coefficients, and {reason}")
