"""Published figures, to be shown next to measured ones but never mixed with them.

They were obtained on whole data sets under their authors' own protocols. If a source does not define its F1, it is
likely at the best threshold per image, the convention of that time.
"""

from typing import NamedTuple

DATASETS = {"nc2016": "NIST NC2016", "carvalho": "Carvalho (DSO-1)", "columbia": "Columbia"}
"""Printed names of the published figures' data sets, by their name in a configuration, in the paper's order."""

_PAPER = ("Cun & Pun, ECCV Workshops 2018", "read in the paper's table")
_ERA = ("literature of 2017 to 2019, best threshold per image", "read in a secondary source")
_RECALLED = ("literature of 2017 to 2019, best threshold per image", "recalled, not verified")


class Published(NamedTuple):
    """F1 in [0, 1] and MCC in [-1, 1] by data set; None if the source gives none."""

    method: str
    row: str
    """The row of this project that reimplements it."""
    scores: dict[str, tuple[float, float | None]]
    source: str
    certainty: str


class PublishedAccuracy(NamedTuple):
    """Shares, in [0, 1], of correctly predicted patch labels and pixels, by data set."""

    method: str
    row: str
    accuracy: dict[str, tuple[float, float]]
    source: str
    certainty: str


SCORES: tuple[Published, ...] = (
    Published("ELA", "ela", {"columbia": (0.470, None)}, *_ERA),
    Published("NOI1", "noi1", {"columbia": (0.574, None)}, *_ERA),
    Published("CFA1", "cfa1", {"columbia": (0.467, None)}, *_ERA),
    Published("DCT", "dct", {"columbia": (0.520, None)}, *_RECALLED),
    Published("BLK", "blk", {"columbia": (0.523, None)}, *_RECALLED),
    Published("CFA2", "cfa2", {"columbia": (0.503, None)}, *_RECALLED),
    Published("ADQ1", "adq1", {"columbia": (0.498, None)}, *_RECALLED),
    Published(
        "MFCN",
        "mfcn",
        {"nc2016": (0.5707, 0.5703), "carvalho": (0.4795, 0.4074), "columbia": (0.6117, 0.4792)},
        *_PAPER,
    ),
    Published(
        "Bappy et al.",
        "bappy",
        {"nc2016": (0.6242, 0.6257), "carvalho": (0.3102, 0.1882), "columbia": (0.5270, 0.5074)},
        *_PAPER,
    ),
    Published(
        "SGN", "sgn", {"nc2016": (0.7174, 0.7101), "carvalho": (0.4236, 0.3309), "columbia": (0.5956, 0.5557)}, *_PAPER
    ),
    Published(
        "SGN + CRF",
        "sgn+crf",
        {"nc2016": (0.7900, 0.7847), "carvalho": (0.5006, 0.4379), "columbia": (0.6482, 0.6403)},
        *_PAPER,
    ),
)

ACCURACIES: tuple[PublishedAccuracy, ...] = (
    PublishedAccuracy(
        "Bappy et al.",
        "bappy",
        {"nc2016": (0.9589, 0.8953), "carvalho": (0.6857, 0.5380), "columbia": (0.8502, 0.7795)},
        *_PAPER,
    ),
    PublishedAccuracy(
        "SGN", "sgn", {"nc2016": (0.9781, 0.8960), "carvalho": (0.8369, 0.7510), "columbia": (0.8972, 0.8390)}, *_PAPER
    ),
)
