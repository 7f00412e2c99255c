"""What "F1" means here: sixteen conventions, each a way to turn the maps of a method into one number.

The literature computes a dozen different numbers under that name. Every number that leaves this package carries its
convention, and numbers of two conventions never stand in one column.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splice_jax import metrics

SCORES: dict[str, metrics.Score] = {"f1": metrics.f1, "mcc": metrics.mcc, "iou": metrics.iou}
"""The scores that need a threshold. Each has thresholds and a polarity of its own wherever the best one is taken."""


@dataclass(frozen=True)
class Convention:
    """One way to turn maps into one number; the words are those of scores.json."""

    threshold: str
    """`0.5`; `best-per-image`: an oracle, the best one for each image; `best-per-dataset`: an oracle, the one that is
    best for all images together, by mean or pooled as `average` says; `validation`: the one with the highest mean over
    the images of the validation split, given polarity."""
    average: str = "images"
    """`images`: the mean over images; `pooled`: the score of the pixels of all images counted together."""
    polarity: str = "given"
    """`given`: higher = more likely spliced, as the method says. `oracle`: the better of the prediction and its
    opposite, per image for a mean over images and for all images at once where pixels are pooled."""

    def __str__(self) -> str:
        """The convention in full, for titles."""
        return f"{self.of_one_image}, {_WORDS[self.average]}"

    @property
    def of_one_image(self) -> str:
        """What of the convention concerns the score of a single image."""
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
CONVENTIONS = tuple(
    Convention(threshold, average, polarity)
    for polarity, average, threshold in itertools.product(("given", "oracle"), ("images", "pooled"), THRESHOLDS)
)
"""All sixteen, the headline first and the threshold of 0.5 beside it."""


def conventions(*, validation: bool) -> list[Convention]:
    """Those that an evaluation has: without validation images, no threshold is chosen on them."""
    return [each for each in CONVENTIONS if validation or each.threshold != "validation"]


def find(scores: Sequence[Mapping[str, Any]], convention: Convention) -> Mapping[str, Any]:
    """The entry of a row's `scores` under a convention.

    Raises:
      KeyError: there is none, as for `validation` where the data set has no validation split.
    """
    for entry in scores:
        if convention_of(entry) == convention:
            return entry
    raise KeyError(f"no score {convention}")


def convention_of(entry: Mapping[str, Any]) -> Convention:
    """That under which an entry of `scores`, or of `differences`, stands."""
    return Convention(entry["threshold"], entry["average"], entry["polarity"])
