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

_ONLY_PIXELS = "there are only pixels; give the JPEG file itself"


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
        """The map from the coefficients that the pixels show, if all of them were decoded from a JPEG.

        Raises:
          Undefined: the image is smaller than `smallest`, its pixels show none, or the response is the same everywhere.
        """
        return self._found(image, None, _ONLY_PIXELS)

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """The upright map from the file's coefficients, and as its mask what is above the map's own threshold.

        Of a file that has none, as a call.

        Raises:
          Undefined: the image is smaller than `smallest`, neither file nor pixels show luma coefficients, or the
            response is the same everywhere.
        """
        try:
            return self._found(image, read_luma(encoded), "")
        except NoCoefficientsError as error:
            return self._found(image, None, str(error))

    def _found(self, image: np.ndarray, luma: Luma | None, reason: str) -> Found:
        self.require_size(image)
        origin = 0, 0
        if luma is None:
            if (decoded := _decoded(image)) is None:
                return self.without_coefficients(image, reason)
            luma, origin = decoded
        response = self.stored_response(luma)
        self.require_contrast(response)
        size = as_stored(image, luma.orientation).shape[:2]
        stored = spread(normalize(response), (size[0], size[1]), self.cell, origin=origin)
        probability = upright(stored, luma.orientation)
        return Found(probability, probability >= otsu(probability))

    def without_coefficients(self, image: UInt8[np.ndarray, "height width 3"], reason: str) -> Found:
        """Handles an image without luma coefficients; a method that can use pixels as such overrides this.

        Raises:
          Undefined: with the reason, unless overridden.
        """
        raise self._undefined(reason)

    def _undefined(self, reason: str) -> Undefined:
        return Undefined(f"row {self.name} reads JPEG coefficients, and {reason}")


def _decoded(image: np.ndarray) -> tuple[Luma, tuple[int, int]] | None:
    """The luma of the JPEG that pixels were decoded from, and where its first whole block begins."""
    from splice_jax.models.traces.reading import read  # loads JAX

    reading = read(image)
    if not reading.shows_steps:
        return None
    luma = Luma(reading.planes[..., 0].astype(np.uint8), reading.tables[0].astype(np.uint16), 1)
    return luma, reading.origin
