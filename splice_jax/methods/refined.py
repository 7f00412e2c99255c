"""Any method followed by a CRF."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from splice_jax import crf as crfs
from splice_jax.crf import CrfParameters
from splice_jax.methods.localizer import Found, Localizer

UNCALIBRATED = CrfParameters(neutral="otsu")
"""For methods whose maps rank pixels but are not calibrated probabilities."""


class Refined(Localizer):
    """A method's map, refined by the image's colours."""

    def __init__(self, localizer: Localizer, crf: str, parameters: CrfParameters = UNCALIBRATED) -> None:
        """Keeps the method's name.

        Args:
            localizer: the method's localizer.
            crf: a backend of `splice_jax.crf`.
            parameters: the CRF's parameters.

        Raises:
            UserError: there is no such backend, or it is not installed.
        """
        crfs.backend_module(crf)
        self.name, self.localizer, self.crf, self.parameters = localizer.name, localizer, crf, parameters
        self.smallest = localizer.smallest

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """The method's result, refined."""
        return self._refined(image, self.localizer)

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """The method's result, refined."""
        return self._refined(image, lambda image: self.localizer.localize_encoded(image, encoded))

    def _refined(self, image: np.ndarray, localize: Callable[[np.ndarray], Found]) -> Found:
        found = localize(image)
        probability = crfs.refine(self.crf, image, found.probability, self.parameters)
        return dataclasses.replace(found, probability=probability, mask=probability >= 0.5)
