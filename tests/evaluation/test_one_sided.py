"""Sets without splices, or with nothing else: no NaN anywhere, a dash with its reason, a report that opens."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax.data import Example
from splice_jax.evaluation.evaluate import evaluate_rows
from splice_jax.evaluation.maps.make import Row
from splice_jax.evaluation.output.tables import ranked
from splice_jax.methods import Found, Localizer, Undefined, localizer

HEADER = {"dataset": "folder", "split": "test", "config": {"seed": 0}, "commit": "abc"}


class Green(Localizer):
    """The green channel is the probability; an image without green is not judged."""

    name = "sgn"

    def __call__(self, image: np.ndarray) -> Found:
        if not image[..., 1].any():
            raise Undefined("row sgn needs green")
        probability = image[..., 1] / np.float32(255)
        return Found(probability, probability >= 0.5)


MASKS = {"none": np.zeros((24, 32), bool), "all": np.ones((24, 32), bool), "one pixel": np.zeros((24, 32), bool)}
MASKS["one pixel"][5, 6] = True


def examples(kind: str, number: int = 3) -> list[Example]:
    images = np.random.default_rng(0).integers(0, 256, (number, 24, 32, 3), np.uint8)
    return [Example(image, MASKS[kind], f"image{i}", kind == "none") for i, image in enumerate(images)]


def numbers(content: Any) -> list[float]:
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [number for each in content for number in numbers(each)]
    return [content] if isinstance(content, float) else []


@pytest.mark.parametrize("kind", MASKS)
def test_undefined_numbers_are_dashes_and_the_report_opens(tmp_path: Path, kind: str) -> None:
    evaluate_rows([Row(Green())], examples(kind), tmp_path, header=HEADER, processes=0)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert all(map(math.isfinite, numbers(scores)))
    [row] = scores["rows"]
    assert row["images"] == (0 if kind == "none" else 3)
    if kind == "none":
        assert row["scores"][0]["f1"] is row["scores"][0]["f1_all"] is None
    if kind == "all":
        assert row["scores"][0]["f1"] == 1 and row["scores"][0]["auc"] is None
    for name in ("tables.md", "table1.csv", "per_image.csv", "report.html", "curves.json"):
        text = (tmp_path / name).read_text()
        assert text and "nan" not in text.lower().split()
    if kind == "none":
        assert "no spliced image" in (tmp_path / "tables.md").read_text()


def test_images_that_a_row_cannot_judge_count_as_0_in_the_mean_over_all(tmp_path: Path) -> None:
    judged, dark = examples("all"), examples("all")[0]
    dark = Example(dark.image * np.array([1, 0, 1], np.uint8), dark.mask, "dark", False)
    evaluate_rows([Row(Green())], [*judged, dark], tmp_path, header=HEADER, processes=0)
    [row] = json.loads((tmp_path / "scores.json").read_text())["rows"]
    entry = row["scores"][0]
    assert (row["images"], row["undefined"]) == (3, {"row sgn needs green": 1})
    assert (entry["f1"], entry["f1_all"]) == (1, 0.75)
    assert entry["iou_all"] == 0.75 * entry["iou"]
    pooled = [each for each in row["scores"] if each["average"] == "pooled"]
    assert pooled and all(each["f1_all"] is None for each in pooled)


def test_tables_are_ranked_by_the_mean_over_all_images(tmp_path: Path) -> None:
    """`choosy` is better where it judges, but judges a third of the images."""

    class Choosy(Green):
        name = "choosy"

        def __call__(self, image: np.ndarray) -> Found:
            if image[0, 0, 0] != images[0].image[0, 0, 0]:
                raise Undefined("row choosy likes another")
            return Found(images[0].mask.astype(np.float32), images[0].mask)

    rows = [Row(Choosy()), Row(localizer("all_spliced"))]
    half = np.zeros((24, 32), bool)
    half[:12] = True
    images = [Example(each.image, half, each.name, False) for each in examples("all")]
    evaluate_rows(rows, images, tmp_path, header=HEADER, processes=0)
    scores = json.loads((tmp_path / "scores.json").read_text())
    best = [row["scores"][0] for row in scores["rows"]]
    assert best[0]["f1"] == 1 > best[1]["f1"] and best[0]["f1_all"] < best[1]["f1_all"]
    assert [row["method"] for row in ranked(scores["rows"])] == ["all_spliced", "choosy"]
    lines = (tmp_path / "table1.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:3]] == ["all_spliced", "choosy"]
