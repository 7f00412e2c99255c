"""Where a photograph holds no evidence, whatever row looks at it: clipped to black or white, or flat.

A row needs some pixels around the one that it judges: what is left between such areas and is smaller than its window
holds no evidence for it either.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from splice_jax.methods.localizer import Localizer

WHITE, BLACK = 250, 5
"""From this level up, or down, in all three channels a pixel counts as clipped."""
FLAT_RANGE = 1
"""Levels between the brightest and the darkest pixel of a flat window."""
WINDOW = 9
"""Pixels along the side of the windows that flatness and clipping are judged in; single pixels say nothing."""

Area = Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class NoEvidence:
    """The areas of one photograph without evidence, by reason; they may overlap."""

    clipped: Area
    flat: Area

    @property
    def any(self) -> Area:
        """All of them together."""
        return self.clipped | self.flat

    def for_row(self, localizer: Localizer, valid: Area) -> dict[str, Area]:
        """The areas about which a row can say nothing, by reason: these, its own, and what is too small for it.

        Args:
            localizer: the row.
            valid: `Found.valid`.
        """
        usable = valid & ~self.any
        return {
            "clipped": self.clipped,
            "flat": self.flat,
            "unusable": ~valid,
            "small": usable & ~_opened(usable, window(localizer)),
        }


def window(localizer: Localizer) -> int:
    """Pixels along the side of what a row needs to judge one place."""
    return localizer.window or localizer.smallest


def no_evidence(image: UInt8[np.ndarray, "height width 3"]) -> NoEvidence:
    """Finds the areas: windows that are clipped throughout, and windows without any change of brightness."""
    red, green, blue = channels = [np.ascontiguousarray(channel) for channel in np.moveaxis(image, 2, 0)]
    darkest, brightest = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    clipped = _opened(darkest >= WHITE, WINDOW) | _opened(brightest <= BLACK, WINDOW)
    flat = np.ones(image.shape[:2], bool)
    for channel in channels:  # A change in any colour is evidence.
        flat &= _high(channel, WINDOW) - _low(channel, WINDOW) <= FLAT_RANGE
    return NoEvidence(clipped, _high(flat.view(np.uint8), WINDOW).view(bool) & ~clipped)


def _opened(area: Area, side: int) -> Area:
    """The part of an area that squares of this side fit into; the image's border does not count against it."""
    if side <= 1 or not area.any():
        return area
    side += 1 - side % 2  # Odd, so that growing undoes shrinking.
    return _high(_low(area.view(np.uint8), side), side).view(bool) & area


def _low(values: UInt8[np.ndarray, "height width"], side: int) -> UInt8[np.ndarray, "height width"]:
    return _over_squares(np.minimum, values, side)


def _high(values: UInt8[np.ndarray, "height width"], side: int) -> UInt8[np.ndarray, "height width"]:
    return _over_squares(np.maximum, values, side)


def _over_squares(choose: np.ufunc, values: np.ndarray, side: int) -> np.ndarray:
    """The extreme of the square around each pixel, of an odd side; at the border, of what of it is inside.

    Runs of 1, 2, 4, ... pixels are joined, which for bytes is several times as fast as SciPy's filters.
    """
    for _ in range(2):
        runs, length = np.pad(values, ((side // 2, side // 2), (0, 0)), mode="edge"), 1
        while 2 * length <= side:
            runs = choose(runs[:-length], runs[length:])
            length *= 2
        values = choose(runs[: len(values)], runs[side - length :]).T
    return values
