"""Rows that can say nothing about some images, or about any."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax.data import Example
from splice_jax.evaluation.evaluate import evaluate_rows, write
from splice_jax.evaluation.maps.cache import map_path
from splice_jax.evaluation.maps.degradations import parse
from splice_jax.evaluation.maps.make import Row
from splice_jax.evaluation.maps.plan import Validation, plan
from splice_jax.evaluation.maps.records import read_record
from splice_jax.evaluation.scores.planned import score
from splice_jax.methods import Found, Localizer, Undefined, localizer

HEADER = {"dataset": "folder", "split": "test", "config": {"seed": 0}, "commit": "abc"}


class FromFile(Localizer):
    """Bright is spliced; knows nothing of an image that does not come as a file that it reads."""

    def __init__(self, name: str, begins: bytes = b"") -> None:
        self.name, self.begins = name, begins

    def __call__(self, image: np.ndarray) -> Found:
        if self.begins:
            raise Undefined("no file")
        probability = (image.mean(axis=-1) / 255).astype(np.float32)
        return Found(probability, probability >= 0.5)

    def localize_encoded(self, image: np.ndarray, encoded: bytes) -> Found:
        if not encoded.startswith(self.begins):
            raise Undefined("not a\nJPEG")
        return FromFile(self.name)(image)


def example(seed: int, *, encoded: bytes = b"png", spliced: bool = True) -> Example:
    mask = np.zeros((24, 32), bool)
    mask[: 12 * spliced, :20] = True
    image = np.random.default_rng(seed).integers(0, 160, (*mask.shape, 3)) + 60 * mask[..., None]
    return Example(image.astype(np.uint8), mask, f"image{seed}", not spliced, encoded)


def examples() -> list[Example]:
    kinds = [b"\xff\xd8", b"png", b"\xff\xd8", b"png"]
    return [
        *(example(seed, encoded=kind) for seed, kind in enumerate(kinds)),
        *(example(9 + seed, encoded=kind, spliced=False) for seed, kind in enumerate(kinds[:2])),
    ]


ROWS = [
    FromFile("sgn"),
    FromFile("adq2", b"\xff\xd8"),
    FromFile("nadq", b"\0"),
    localizer("all_spliced"),
]


def evaluated(output: Path, rows: Sequence[Localizer] = ROWS, **changes: Any) -> dict[str, Any]:
    return evaluate_rows([Row(row) for row in rows], examples(), output, header=HEADER, processes=0, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undefined")
    evaluated(output, degradations=parse("jpeg:80;noise:5"))
    return output


@pytest.fixture(scope="module")
def scores(folder: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((folder / "scores.json").read_text())
    return {row["method"]: row for row in content["rows"]}


def test_a_row_is_scored_over_the_images_that_it_is_defined_on(scores: dict[str, Any], tmp_path: Path) -> None:
    row = scores["adq2"]
    assert (row["images"], row["undefined"]) == (2, {"not a JPEG": 2})
    assert (row["detection"]["images"], row["detection"]["auc"]) == ({"spliced": 2, "authentic": 1}, 1)
    ours = [each for each in examples() if each.encoded == b"\xff\xd8"]
    alone = evaluate_rows([Row(FromFile("adq2"))], ours, tmp_path, header=HEADER, processes=0)["rows"][0]
    judged = [{name: entry[name] for name in entry if not name.endswith("_all")} for entry in row["scores"]]
    assert judged == [{name: entry[name] for name in entry if not name.endswith("_all")} for entry in alone["scores"]]
    assert row["scores"][0]["f1_all"] == row["scores"][0]["f1"] / 2
    assert (scores["sgn"]["images"], scores["sgn"]["undefined"]) == (4, {})


def test_a_row_without_any_image_has_no_score_rather_than_0(scores: dict[str, Any], folder: Path) -> None:
    row = scores["nadq"]
    assert (row["images"], row["undefined"]) == (0, {"not a JPEG": 4})
    assert row["seconds_per_image"] is row["patch_accuracy"] is row["detection"] is None
    of_sgn = scores["sgn"]["scores"]
    assert [list(entry)[:3] for entry in row["scores"]] == [list(entry)[:3] for entry in of_sgn]
    for entry, other in zip(row["scores"], of_sgn, strict=True):
        assert list(entry.values())[:3] == list(other.values())[:3]
        own = {name: value for name, value in list(entry.items())[3:] if not name.endswith("_all")}
        assert set(own.values()) == {None}
        assert entry["f1_all"] == (0 if entry["average"] == "images" else None)
    curves = json.loads((folder / "curves.json").read_text())
    assert [row["images"] is None for row in curves["rows"]] == [False, False, True, False]


def test_differences_are_over_the_images_of_both_rows(folder: Path) -> None:
    found = json.loads((folder / "scores.json").read_text())["differences"]
    pairs = {(each["row"], each["other"]): each for each in found if each["threshold"] == "best-per-image"}
    assert {pair: each["images"] for pair, each in pairs.items()} == {
        ("sgn", "adq2"): 2,
        ("sgn", "nadq"): 0,
        ("sgn", "all_spliced"): 4,
        ("adq2", "nadq"): 0,
        ("adq2", "all_spliced"): 2,
        ("nadq", "all_spliced"): 0,
    }
    assert pairs["sgn", "adq2"]["f1"] == 0 and pairs["sgn", "adq2"]["f1_ci95"] == [0, 0]
    assert pairs["sgn", "nadq"]["mcc"] is pairs["sgn", "nadq"]["mcc_ci95"] is None


def test_the_reason_is_cached_instead_of_a_map_and_an_old_map_goes(folder: Path, tmp_path: Path) -> None:
    maps = read_record(folder / "maps", "adq2").maps
    assert [each.undefined for each in maps] == ["", "not a JPEG"] * 3
    assert [map_path(folder / "maps", "adq2", each.image).exists() for each in maps] == [True, False] * 3
    evaluated(tmp_path, [FromFile("adq2")])
    evaluated(tmp_path, [FromFile("adq2", b"\xff\xd8")])
    assert not map_path(tmp_path / "maps", "adq2", "image1").exists()


def test_per_image_cells_are_empty_and_the_reason_stands_beside_them(folder: Path) -> None:
    with (folder / "per_image.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6 * len(ROWS)
    for line in lines:
        known = {name for name, cell in line.items() if cell != ""}
        if line["undefined"]:
            assert known == {"image", "method", "crf", "width", "height", "authentic", "undefined"}
        else:
            assert known >= {"image_score", "seconds"}
    undefined = [line["undefined"] for line in lines if line["method"] == "adq2"]
    assert undefined == ["", "not a JPEG"] * 3


def test_tables_say_so_with_the_reason(folder: Path) -> None:
    text = (folder / "tables.md").read_text()
    assert "- adq2: – for 2 of 4 images: not a JPEG\n- nadq: – for 4 of 4 images: not a JPEG\n" in text
    assert "| nadq | 0 | – | – | – | – |" in text
    with (folder / "table1.csv").open(newline="") as file:
        assert {line["row"]: line["images"] for line in csv.DictReader(file)}["adq2"] == "2"


def test_a_compressed_image_is_a_file_and_a_noisy_one_is_none(folder: Path) -> None:
    series = json.loads((folder / "degradations.json").read_text())
    images = {each["kind"]: {row["method"]: row["images"] for row in each["rows"]} for each in series["degraded"]}
    assert images == {
        "jpeg": {"sgn": 4, "adq2": 4, "nadq": 0, "all_spliced": 4},
        "noise": {"sgn": 4, "adq2": 0, "nadq": 0, "all_spliced": 4},
    }
    [noisy] = [row for row in series["degraded"][1]["rows"] if row["method"] == "adq2"]
    assert (noisy["undefined"], noisy["scores"][0]["f1"]) == ({"no file": 4}, None)


def test_scoring_again_reproduces_every_file(tmp_path: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    evaluated(tmp_path)
    before = contents()
    for name in before:
        (tmp_path / name).unlink()
    made_from = {(row.name, "none"): {"method": row.name} for row in ROWS}
    title, nothing = "folder: its split test", Validation()
    planned = plan(made_from, examples(), tmp_path, title=title, validation=nothing, processes=0)
    write(planned, score(planned), tmp_path, header=HEADER, no_validation=nothing.reason)
    assert contents() == before


def test_a_threshold_is_not_chosen_on_images_without_a_map(tmp_path: Path) -> None:
    validation = Validation([example(seed, encoded=b"png") for seed in (20, 21)])
    rows = {row["method"]: row for row in evaluated(tmp_path, validation=validation)["rows"]}
    entries = {name: [e for e in row["scores"] if e["threshold"] == "validation"] for name, row in rows.items()}
    assert all(len(each) == 4 for each in entries.values())
    assert entries["adq2"][0]["f1"] is None and rows["adq2"]["scores"][0]["f1"] > 0
    assert entries["sgn"][0]["f1"] > 0
