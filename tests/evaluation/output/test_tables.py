import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splice_jax.evaluation.output import figures, tables
from splice_jax.evaluation.output.report.gallery import spread
from splice_jax.evaluation.scores.conventions import CONVENTIONS

ROWS = {("sgn", "none"): 0.3, ("sgn", "jax"): 0.5, ("noi1", "none"): 0.1, ("all_spliced", "none"): 0.0}


@pytest.fixture(scope="module")
def columbia(made_up: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return made_up(ROWS, dataset="columbia")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_published_figures_stand_in_columns_of_their_own(columbia: dict[str, Any], tmp_path: Path) -> None:
    tables.write(tmp_path, columbia)
    lines = read(tmp_path / "table1.csv")
    by_row = {line["row"]: line for line in lines if line["row"] != tables.NOTHING}
    assert list(by_row) == ["sgn", "sgn+crf", "noi1", "all_spliced"]
    ours = by_row["sgn+crf"]
    entry = columbia["rows"][1]["scores"][0]
    assert ours["measured F1 best"].startswith(f"{entry['f1']:.3f} [")
    assert (ours["published method"], ours["published F1"], ours["published MCC"]) == ("SGN + CRF", "0.6482", "0.6403")
    assert (ours["published in"], ours["certainty"]) == ("Cun & Pun, ECCV Workshops 2018", "read in the paper's table")
    assert by_row["noi1"]["published MCC"] == by_row["all_spliced"]["published F1"] == tables.NOTHING
    unmeasured = {line["published method"]: line for line in lines if line["row"] == tables.NOTHING}
    assert unmeasured["MFCN"]["measured F1 best"] == tables.NOTHING
    assert unmeasured["DCT"]["certainty"] == "recalled, not verified"


def test_patch_accuracies_stand_beside_the_papers(columbia: dict[str, Any]) -> None:
    lines = {line["row"]: line for line in tables.table_2(columbia)}
    assert lines["sgn"]["measured patch labels"] == "75.00 %"
    assert (lines["sgn"]["published patch labels"], lines["sgn"]["published pixels"]) == ("89.72 %", "83.90 %")
    assert "sgn+crf" not in lines


def test_another_data_set_gets_no_published_figure(made_up: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    tables.write(tmp_path, made_up({("sgn", "none"): 0.3}))
    [line] = read(tmp_path / "table1.csv")
    assert line["published F1"] == tables.NOTHING
    assert "No figures are published for this data set." in (tmp_path / "tables.md").read_text()


def test_the_document_names_the_headline_and_every_convention(columbia: dict[str, Any], tmp_path: Path) -> None:
    tables.write(tmp_path, columbia)
    text = (tmp_path / "tables.md").read_text()
    assert "Headline: F1 and MCC at the best threshold per image (oracle), given polarity, mean over images" in text
    for convention in CONVENTIONS:
        assert (str(convention)[1:] in text.split("## Every convention")[1]) == (convention.threshold != "validation")
    assert "No threshold was chosen on validation: there is no such split." in text


def test_differences_are_those_of_the_main_row_with_its_sign(columbia: dict[str, Any]) -> None:
    lines = tables.text_differences(columbia).splitlines()
    assert lines[0].startswith("sgn+crf minus other rows, at the best threshold per image (oracle)")
    f1 = [row["scores"][0]["f1"] for row in columbia["rows"]]
    assert lines[1].startswith(f"  - sgn: F1 {f1[1] - f1[0]:+.3f} [")
    assert lines[2].startswith(f"  - noi1: F1 {f1[1] - f1[2]:+.3f} [")


def test_the_figure_compares_the_best_rival_and_ours_on_images_nobody_picked(columbia: dict[str, Any]) -> None:
    assert figures.compared_rows(columbia) == [
        ("rival: noi1", "noi1"),
        ("ours: sgn", "sgn"),
        ("ours: sgn+crf", "sgn+crf"),
    ]
    assert spread(11, figures.COMPARED) == [0, 2, 4, 6, 8, 10]
    assert [spread(images, figures.COMPARED) for images in (0, 1)] == [[], [0]]
