"""What a model's logits mean: calibrated on authentic photographs, and stored with it."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

STEEPNESS = 10.0
FAINT = -2.0
"""Logit below which a map is not lowered: a probability of 0.12."""
CHECKED = 0.05
"""The alarm whose frequency among other photographs is stored with a model."""
KINDS = {
    "camera": "JPEGs as a camera wrote them",
    "other jpeg": "JPEGs that a program or web site may have saved again",
    "no jpeg": "files that are no JPEG",
}
"""Kinds of authentic photographs that are counted apart, and what they are, in words."""


@dataclass(frozen=True)
class Calibration:
    """Of one model's weights.

    map_shift: added to every logit of a map.
    map_gate: maps of images whose own logit is below it are lowered, see `of_map`. Together they make a threshold of
    0.5 mark over 1 % of the picture in a chosen share of authentic photographs.
    slope, intercept: of the image's logit, for the log odds of a splice where half of all images have one.
    authentic: the image logits of authentic photographs, ascending.
    kinds: of these photographs, in their order, as in `KINDS`; empty where they are not known.
    checked: of other authentic photographs, which played no part, how many had an alarm of at most `CHECKED`, and how
    many there were; empty where none were looked at.
    """

    map_shift: float
    map_gate: float
    slope: float
    intercept: float
    authentic: Float32[np.ndarray, " photographs"]
    kinds: np.ndarray = field(default_factory=lambda: np.array([], str))
    checked: np.ndarray = field(default_factory=lambda: np.array([], np.int64))

    @property
    def photographs(self) -> int:
        """How many authentic photographs it rests on."""
        return len(self.authentic)

    def of_map(self, logits: Float32[np.ndarray, "*size"], image_logit: float) -> Float32[np.ndarray, "*size"]:
        """Calibrated logits of a map: the same order of pixels within an image.

        Below the gate, a map is lowered by `STEEPNESS` times the difference, but not further than until its highest
        logit is `FAINT`: nothing is marked, and 16 bits still tell its pixels apart.
        """
        shifted = logits + np.float32(self.map_shift)
        lowered = min(STEEPNESS * max(0.0, self.map_gate - image_logit), max(0.0, float(shifted.max()) - FAINT))
        return shifted - np.float32(lowered)

    def score(self, image_logit: float) -> float:
        """Probability that an image is spliced, if half of all images are; in [0, 1]."""
        return float(1 / (1 + np.exp(-np.clip(self.slope * image_logit + self.intercept, -30, 30))))

    def alarm(self, image_logit: float) -> float:
        """Share of the authentic photographs that score at least as high; in [0, 1].

        >>> Calibration(0, 0, 1, 0, np.float32([-2, -1, 0, 1])).alarm(0.0)
        0.5
        """
        below = np.searchsorted(self.authentic, image_logit, side="left")
        return float((len(self.authentic) - below) / len(self.authentic))

    def counted(self, kind: str, alarm: float) -> tuple[int, int]:
        """How many authentic photographs of a kind score as high as an image with this alarm, and how many there are.

        >>> Calibration(0, 0, 1, 0, np.float32([-2, -1, 0, 1]), np.array(["a", "b", "a", "b"])).counted("a", 0.5)
        (1, 2)
        """
        of_kind = self.kinds == kind
        as_high = round(alarm * self.photographs)
        return int(of_kind[len(of_kind) - as_high :].sum()) if len(of_kind) else 0, int(of_kind.sum())
