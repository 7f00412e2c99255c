"""What "F1" means here: sixteen conventions, each a way to turn the maps of a method into one number.

The literature uses that name for a dozen different numbers. Every number this package outputs states its convention,
and numbers under different conventions are never in the same column.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splice_jax import metrics

SCORES: dict[str, metrics.Score] = {"f1": metrics.f1, "mcc": metrics.mcc, "iou": metrics.iou}
"""The scores that need a threshold. Wherever the best is taken, each score has its own thresholds and polarity."""


@dataclass(frozen=True)
class Convention:
    """One way to turn maps into one number; terms are those of scores.json."""

    threshold: str
    """`0.5`; `best-per-image`: an oracle, the best one for each image; `best-per-dataset`: an oracle, the best one for
    all images together, by mean or pooled depending on `average`; `validation`: the one with the highest mean over the
    validation split's images, in given polarity."""
    average: str = "images"
    """`images`: the mean over images; `pooled`: the score of all images' pixels counted together."""
    polarity: str = "given"
    """`given`: higher = more likely spliced, as the method says. `oracle`: the better of the prediction and its
    opposite, per image for a mean over images and for all images at once if pixels are pooled."""

    def __str__(self) -> str:
        """The convention in full, for titles."""
        return f"{self.of_one_image}, {_WORDS[self.average]}"

    @property
    def of_one_image(self) -> str:
        """The part of the convention that affects a single image's score."""
        return f"{_WORDS[self.threshold]}, {_WORDS[self.polarity]}"


_WORDS = {
    "best-per-image": "at the best threshold per image (oracle)",
    "0.5": "at threshold 0.5",
    "best-per-dataset": "at the best threshold per data set (oracle)",
    "validation": "at the threshold chosen on validation",
    "given": "given polarity",
    "oracle": "better of both polarities (oracle)",
    "images": "mean over images",
    "pooled": "pooled pixels",
}

THRESHOLDS = ("best-per-image", "0.5", "best-per-dataset", "validation")
HEADLINE, HALF = Convention("best-per-image"), Convention("0.5")
AT_FALSE_ALARMS = Convention("false-alarms")
"""At the lowest threshold at which a tenth of the authentic images is called spliced: what a map is worth to someone
who does not know whether there is a splice. Printed with the detection of authentic images, where there are any."""
CONVENTIONS = tuple(
    Convention(threshold, average, polarity)
    for polarity, average, threshold in itertools.product(("given", "oracle"), ("images", "pooled"), THRESHOLDS)
)
"""All sixteen: the headline first, then the threshold of 0.5."""


def conventions(*, validation: bool) -> list[Convention]:
    """The conventions an evaluation has; without validation images, no threshold can be chosen on them."""
    return [each for each in CONVENTIONS if validation or each.threshold != "validation"]


def find(scores: Sequence[Mapping[str, Any]], convention: Convention) -> Mapping[str, Any]:
    """The entry in a row's `scores` for a convention.

    Raises:
      KeyError: there is none, for example for `validation` if the data set has no validation split.
    """
    for entry in scores:
        if convention_of(entry) == convention:
            return entry
    raise KeyError(f"no score {convention}")


def convention_of(entry: Mapping[str, Any]) -> Convention:
    """The convention of an entry of `scores` or `differences`."""
    return Convention(entry["threshold"], entry["average"], entry["polarity"])
