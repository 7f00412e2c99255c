"""The images of a report: every row's scores on them, and their pictures, made on all cores."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.make import Stage
from splice_jax.evaluation.maps.plan import Key
from splice_jax.evaluation.maps.truth import Truth
from splice_jax.evaluation.output.report import pictures
from splice_jax.evaluation.rows import TRIVIAL, main_row, row_name
from splice_jax.evaluation.scores.conventions import HEADLINE
from splice_jax.evaluation.scores.image import ImageScores
from splice_jax.evaluation.scores.scoring import RowResult
from splice_jax.images import read_mask
from splice_jax.metrics import LEVELS
from splice_jax.workers import in_order


@dataclass(frozen=True, eq=False)
class Picture:
    """One image with the maps and scores of the rows that are defined for it."""

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]
    maps: Mapping[str, UInt16[np.ndarray, "height width"]]
    scores: Mapping[str, ImageScores]
    undefined: Mapping[str, str]
    """Why the other rows have none."""


def spread(images: int, most: int) -> list[int]:
    """At most this many ranks, 0 for the best, evenly spaced from best to worst: none is picked by hand.

    >>> spread(9, 4), spread(3, 4)
    ([0, 3, 5, 8], [0, 1, 2])
    """
    return sorted({round(rank) for rank in np.linspace(0, images - 1, min(most, images)).tolist()})


class Gallery:
    """The spliced images of a split, from best to worst by the headline F1 of the evaluation's main row."""

    def __init__(self, stage: Stage, found: Mapping[Key, RowResult], most: int) -> None:
        """Images that this row has no score for come last.

        Args:
          stage: whose images they are.
          found: the rows.
          most: how many images the report has pictures of; they are spread evenly from best to worst.
        """
        self.stage = stage
        self.rows = {row_name(*key): result for key, result in found.items()}
        self.main = main_row(list(self.rows))
        self.shown = [name for name in self.rows if name not in TRIVIAL] or list(self.rows)
        self._by_image = {
            name: dict(zip(result.scores.names, result.scores.images, strict=True))
            for name, result in self.rows.items()
        }
        own = self.rows[self.main].scores
        values = dict(zip(own.names, own.values(HEADLINE, "f1"), strict=True)) if own.images else {}
        spliced = [truth for truth in stage.truths if truth.spliced]
        self.truths: Sequence[Truth] = sorted(spliced, key=lambda truth: -values.get(truth.name, -1))
        self._pictured = [self.truths[rank] for rank in spread(len(spliced), most)]

    def index(self) -> list[dict[str, Any]]:
        """What the page knows about every pictured image beside that; scores have four decimals, null if undefined."""
        return [
            {
                "name": truth.name,
                "width": truth.width,
                "height": truth.height,
                "rows": {name: self._entry(name, truth.name) for name in self.rows},
            }
            for truth in self._pictured
        ]

    def pictures(self, ranks: Sequence[int]) -> Iterator[Picture]:
        """The images with these ranks (0 is the best), one at a time."""
        for truth in (self.truths[rank] for rank in ranks):
            example = self.stage.examples[truth.position]
            scores = {row: self._by_image[row][truth.name] for row in self._mapped(truth)}
            levels = {row: cache.read_map(cache.map_path(self.stage.folder, row, truth.name)) for row in scores}
            undefined = {row: self.rows[row].undefined[truth.name] for row in self.shown if row not in scores}
            yield Picture(truth.name, example.image, example.mask, levels, scores, undefined)

    def encoded(self, workers: Executor) -> Iterator[dict[str, Any]]:
        """Those pictures in order: base64 of image, mask and, by row, the map and what it calls spliced."""
        return in_order(workers, encode, self._tasks())

    def _tasks(self) -> Iterator["PictureTask"]:
        side = pictures.longest_side(len(self._pictured) * len(self.shown))
        for truth in self._pictured:
            photograph = pictures.photograph(self.stage.examples[truth.position].image)
            sources = {}
            for row in self._mapped(truth):
                best_level = LEVELS + 1 - int(self._by_image[row][truth.name].best_steps[0, 0])
                sources[row] = cache.map_path(self.stage.folder, row, truth.name), best_level
            yield PictureTask(photograph, truth.mask, sources, side)

    def _mapped(self, truth: Truth) -> list[str]:
        return [row for row in self.shown if truth.name in self._by_image[row]]

    def _entry(self, row: str, image: str) -> dict[str, Any]:
        if image in self.rows[row].undefined:
            return {"undefined": self.rows[row].undefined[image]}
        scores = self._by_image[row][image]
        at = {threshold: [round(value, 4) for value in values] for threshold, values in scores.at.items()}
        threshold = scores.best_thresholds.f1
        return {
            "best": at["best-per-image"],
            "half": at["0.5"],
            "auc": None if np.isnan(scores.auc) else round(scores.auc, 4),
            "threshold": None if np.isinf(threshold) else round(threshold, 5),
        }


class PictureTask(NamedTuple):
    """An image whose pictures are to be made."""

    photograph: str
    mask: bytes
    sources: Mapping[str, tuple[Path, int]]
    """By row, the map and the lowest level called spliced at its best threshold for F1."""
    side: int


def encode(task: PictureTask) -> dict[str, Any]:
    """The pictures of one image. Runs in any process."""
    encoded = {}
    for row, (path, best_level) in task.sources.items():
        levels = cache.read_map(path)
        encoded[row] = [pictures.probability(levels, task.side), pictures.called(levels, best_level, task.side)]
    return {
        "image": task.photograph,
        "mask": pictures.mask(read_mask(task.mask), task.side),
        "rows": encoded,
    }
