import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import splice_jax
from splice_jax import crf, data
from splice_jax.crf import CrfParameters, on_device, refine
from splice_jax.data import Example
from splice_jax.errors import UserError
from splice_jax.evaluation.evaluate import evaluate, evaluate_rows
from splice_jax.evaluation.maps.cache import map_path, read_map
from splice_jax.evaluation.maps.degradations import parse
from splice_jax.evaluation.maps.make import Row
from splice_jax.evaluation.maps.plan import Validation
from splice_jax.evaluation.scores.image import score_image
from splice_jax.images import read_image, read_mask
from splice_jax.methods import Found, Localizer, localizer
from splice_jax.metrics import quantize
from splice_jax.runs.configuration import save_config
from tests.evaluation.configurations import config
from tests.optional import needs_pydensecrf

HEADER = {"dataset": "folder", "split": "test", "config": {"seed": 0}, "commit": "abc"}


class Brightness(Localizer):
    """Bright is spliced; every patch is called spliced."""

    name = "sgn"
    calls = 0

    def __call__(self, image: np.ndarray) -> Found:
        Brightness.calls += 1
        probability = (image.mean(axis=-1) / 255).astype(np.float32)
        return Found(probability, probability >= 0.5, np.ones((2, 2), np.float32))


def example(seed: int, name: str, *, spliced: bool = True) -> Example:
    random = np.random.default_rng(seed)
    mask = np.zeros((70, 100), bool)
    if spliced:
        mask[:66, :66] = True
    image = random.integers(0, 160, (*mask.shape, 3)) + 95 * mask[..., None]
    return Example(image.astype(np.uint8), mask, name, authentic=not spliced)


@pytest.fixture
def examples() -> list[Example]:
    spliced = [example(seed, f"image{seed}") for seed in range(3)]
    return [spliced[0], example(7, "authentic", spliced=False), *spliced[1:]]


def rows(*, crf: str = "none") -> list[Row]:
    own = Brightness()
    trivial = [Row(localizer("all_spliced")), Row(localizer("random", seed=0))]
    return [Row(own), *([Row(own, crf)] if crf != "none" else []), *trivial]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_scores_have_the_schema_and_authentic_images_are_counted(examples: list[Example], tmp_path: Path) -> None:
    returned = evaluate_rows(rows(), examples, tmp_path, header=HEADER)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores == returned
    assert list(scores)[:7] == ["dataset", "split", "images", "authentic_images", "config", "commit", "rows"]
    assert (scores["images"], scores["authentic_images"]) == (3, 1)
    assert scores["headline"]["words"] == "at the best threshold per image (oracle), given polarity, mean over images"
    assert "no validation images" in scores["validation"]["reason"]
    assert scores["bootstrap"] == {"method": "BCa, percentile above 10000 images", "resamples": 2000, "seed": 0}
    assert [(row["method"], row["crf"]) for row in scores["rows"]] == [
        ("sgn", "none"),
        ("all_spliced", "none"),
        ("random", "none"),
    ]
    for row in scores["rows"]:
        assert list(row)[:5] == ["method", "crf", "scores", "patch_accuracy", "seconds_per_image"]
        assert [entry["threshold"] for entry in row["scores"]][:2] == ["best-per-image", "0.5"]
        assert len(row["scores"]) == 12
    share = 66 * 66 / 7000
    everything = scores["rows"][1]["scores"][1]
    assert everything["f1"] == pytest.approx(2 * share / (1 + share))
    assert everything["mcc"] == 0


def test_patch_accuracy_follows_the_rule_of_seven_eighths(examples: list[Example], tmp_path: Path) -> None:
    scores = evaluate_rows(rows(), examples, tmp_path, header=HEADER)
    # Patches start at 0 and 6 downwards, at 0 and 36 to the right: of the spliced 66 x 66 pixels the left ones hold
    # 64 x 64 and 60 x 64 (above 7/8), the right ones at most 64 x 30. The localizer says spliced for all four.
    accuracy = scores["rows"][0]["patch_accuracy"]
    assert accuracy["classification"] == 0.5
    right = [(e.image.mean(axis=-1) / 255 >= 0.5) == e.mask for e in examples if not e.authentic]
    assert accuracy["segmentation"] == pytest.approx(np.mean(right), abs=1e-3)
    assert scores["rows"][1]["patch_accuracy"] is None


def test_cached_maps_score_the_same_again(examples: list[Example], tmp_path: Path) -> None:
    evaluate_rows(rows(), examples, tmp_path, header=HEADER)
    lines = read_csv(tmp_path / "per_image.csv")
    assert len(lines) == 12
    for line in lines:
        if line["authentic"] == "1":
            assert (line["image"], line["f1_best"], line["auc"]) == ("authentic", "", "")
            continue
        truth = next(e.mask for e in examples if e.name == line["image"])
        again = score_image(read_map(map_path(tmp_path / "maps", line["method"], line["image"])), truth)
        assert float(line["f1_best"]) == again.at["best-per-image"].f1
        assert float(line["mcc_at_0.5"]) == again.at["0.5"].mcc
        assert float(line["iou_threshold"]) == again.best_thresholds.iou
        assert (int(line["width"]), int(line["height"])) == (100, 70)


def test_a_report_shows_no_more_images_than_it_may_but_counts_all(examples: list[Example], tmp_path: Path) -> None:
    evaluate_rows(rows(), [*examples, example(9, "image9")], tmp_path, header=HEADER, report_images=2)
    page = (tmp_path / "report.html").read_text()
    lines = [line for line in read_csv(tmp_path / "per_image.csv") if line["method"] == "sgn" and line["f1_best"]]
    ranked = sorted(lines, key=lambda line: -float(line["f1_best"]))
    shown = json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])
    assert [image["name"] for image in shown["images"]] == [ranked[0]["image"], ranked[3]["image"]]
    assert page.count('id="picture-') == 2
    assert "2 of the 4 spliced images, spread evenly from best to worst" in page
    for kind in ("best.0", "half.1", "auc"):
        assert all(sum(row["counts"]) == 4 for row in shown["distributions"][kind]["rows"].values())


def test_maps_are_cached_in_16_bits(examples: list[Example], tmp_path: Path) -> None:
    evaluate_rows(rows(), examples, tmp_path, header=HEADER)
    levels = read_map(tmp_path / "maps" / "sgn" / "image0.png")
    assert levels.dtype == np.uint16
    np.testing.assert_array_equal(levels, quantize(Brightness()(examples[0].image).probability))


def test_the_crf_row_refines_the_cached_map_and_the_network_runs_once(examples: list[Example], tmp_path: Path) -> None:
    parameters = CrfParameters(iterations=2)
    Brightness.calls = 0
    of_rows = rows(crf="jax")
    scores = evaluate_rows(of_rows, examples, tmp_path, header=HEADER, parameters=parameters, processes=0)
    assert Brightness.calls == 4
    assert [(row["method"], row["crf"]) for row in scores["rows"]][:2] == [("sgn", "none"), ("sgn", "jax")]
    assert scores["rows"][1]["patch_accuracy"] is None
    before, after = (read_map(tmp_path / "maps" / row / "image0.png") for row in ("sgn", "sgn+crf"))
    refined = refine("jax", examples[0].image, (before / np.float32(65535)).astype(np.float32), parameters)
    np.testing.assert_array_equal(after, quantize(refined))
    assert scores["rows"][1]["scores"][1]["f1"] > scores["rows"][0]["scores"][1]["f1"]


def test_where_a_device_gains_by_it_images_are_refined_in_batches_and_their_maps_are_the_same(
    examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    refined_batch = crf.refine_batch

    def noted(backend: str, images: Any, *given: Any) -> Any:
        sizes.append(len(images))
        return refined_batch(backend, images, *given)

    monkeypatch.setattr(crf, "refine_batch", noted)
    for batch in (1, 3):
        monkeypatch.setattr(on_device, "batch_size", lambda batch=batch: batch)
        of_rows, output = rows(crf="jax"), tmp_path / str(batch)
        evaluate_rows(of_rows, examples, output, header=HEADER, parameters=CrfParameters(iterations=2), processes=0)
    assert sizes == [1, 1, 1, 1, 3, 1]
    for example in examples:
        one, three = (read_map(tmp_path / batch / f"maps/sgn+crf/{example.name}.png").astype(int) for batch in "13")
        assert np.abs(one - three).max() <= 2


@pytest.mark.parametrize("backend", ["jax", pytest.param("pydensecrf", marks=needs_pydensecrf)])
def test_processes_change_nothing_but_the_time(examples: list[Example], tmp_path: Path, backend: str) -> None:
    def timeless(processes: int) -> tuple[list[dict[str, str]], str, bytes]:
        output = tmp_path / str(processes)
        evaluate_rows(rows(crf=backend), examples, output, header=HEADER, processes=processes)
        scores = json.loads((output / "scores.json").read_text())
        for row in scores["rows"]:
            del row["seconds_per_image"]
        lines = [
            {key: cell for key, cell in line.items() if key != "seconds"} for line in read_csv(output / "per_image.csv")
        ]
        assert (output / "tables.md").read_text().count("headline") == 1
        return lines, json.dumps(scores), (output / "maps" / "sgn+crf" / "image2.png").read_bytes()

    assert timeless(0) == timeless(2)


def test_the_progress_bar_is_quiet_without_a_terminal(
    examples: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_rows(rows(), examples, tmp_path, header=HEADER)
    assert capsys.readouterr() == ("", "")


def test_a_split_without_splices_has_no_localization_scores(tmp_path: Path) -> None:
    scores = evaluate_rows(rows(), [example(0, "x", spliced=False)], tmp_path, header=HEADER)
    assert (scores["images"], scores["authentic_images"]) == (0, 1)
    assert all(entry["f1"] is None for row in scores["rows"] for entry in row["scores"])
    json.loads((tmp_path / "scores.json").read_text(), parse_constant=pytest.fail)


def test_nothing_half_written_stays_when_a_localizer_fails(examples: list[Example], tmp_path: Path) -> None:
    class Failing(Brightness):
        def __call__(self, image: np.ndarray) -> Found:
            raise UserError("no")

    with pytest.raises(UserError, match="no"):
        evaluate_rows([Row(Failing())], examples, tmp_path, header=HEADER)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, examples: list[Example], tmp_path: Path) -> None:
    save_config(config(), tmp_path)

    def open_split(
        dataset: str, data_dir: str, split: str, *, include_authentic: bool = False, **options: Any
    ) -> Sequence[Example]:
        return [e for e in examples if include_authentic or not e.authentic]

    monkeypatch.setitem(vars(splice_jax), "load", lambda *_, **options: Brightness())
    monkeypatch.setattr(data, "open_split", open_split)


@pytest.mark.usefixtures("trained")
def test_an_evaluation_prints_its_table_and_the_reports_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = evaluate(config(), tmp_path)
    printed = capsys.readouterr().out
    assert path == tmp_path / "evaluation" / "folder-test" / "report.html"
    assert path.is_file()
    assert printed.rstrip().endswith(f"report: {path}")
    assert "F1 and MCC at the best threshold per image (oracle), given polarity, mean over images, over 3" in printed
    assert "sgn minus other rows" in printed
    assert json.loads((path.parent / "scores.json").read_text())["authentic_images"] == 1
    named = evaluate(config(evaluation_name="mine"), tmp_path)
    assert named.parent.name == "mine"


def test_the_threshold_of_validation_is_chosen_there_and_not_on_what_is_scored(
    examples: list[Example], tmp_path: Path
) -> None:
    others = [example(seed, f"other{seed}") for seed in (20, 21)]
    scores = evaluate_rows(rows(), examples, tmp_path, header=HEADER, validation=Validation([*others, examples[1]]))
    assert scores["validation"] == {"split": "val", "images": 2}
    [own] = [e for e in scores["rows"][0]["scores"] if list(e.values())[:3] == ["validation", "images", "given"]]
    means = {}
    for threshold in np.unique(np.concatenate([read_map(p).ravel() for p in (tmp_path / "maps/sgn").glob("i*.png")])):
        maps = [quantize(Brightness()(e.image).probability) >= threshold for e in others]
        f1 = [2 * (m & e.mask).sum() / (m.sum() + e.mask.sum()) for m, e in zip(maps, others, strict=True)]
        means[threshold] = np.mean(f1)
    attained = min(means, key=lambda threshold: abs(threshold / 65535 - own["f1_threshold"]))
    assert means[attained] == pytest.approx(max(means.values()), abs=0.01)


def test_authentic_images_tell_of_false_alarms_and_of_nothing_else(examples: list[Example], tmp_path: Path) -> None:
    with_authentic = evaluate_rows(rows(), examples, tmp_path / "a", header=HEADER)
    without = evaluate_rows(rows(), [e for e in examples if not e.authentic], tmp_path / "b", header=HEADER)
    assert without["rows"][0]["detection"] is None
    found = with_authentic["rows"][0]["detection"]
    dark = quantize(Brightness()(examples[1].image).probability)
    assert found["false_positive_pixels"] == np.mean(dark >= 32768)
    assert (found["auc"], found["false_alarms"], found["detections"]) == (1, float(np.mean(dark >= 32768) > 0.01), 1)
    assert with_authentic["rows"][1]["detection"]["auc"] == 0.5
    for scores in (with_authentic, without):
        for row in scores["rows"]:
            del row["detection"], row["seconds_per_image"]
    assert with_authentic["rows"] == without["rows"]


def test_every_row_is_evaluated_under_every_degradation(examples: list[Example], tmp_path: Path) -> None:
    degradations = parse("noise:60;resize:0.5")
    scores = evaluate_rows(rows(), examples, tmp_path, header=HEADER, degradations=degradations)
    series = json.loads((tmp_path / "degradations.json").read_text())
    assert [(each["kind"], each["strength"]) for each in series["degraded"]] == [("noise", 60), ("resize", 0.5)]
    assert [row["scores"] for row in series["undegraded"]] == [row["scores"] for row in scores["rows"]]
    noisy, half = (each["rows"][0]["scores"][0] for each in series["degraded"])
    assert noisy["f1"] < scores["rows"][0]["scores"][0]["f1"] < 1
    assert half["f1"] != scores["rows"][0]["scores"][0]["f1"]
    assert read_map(tmp_path / "degradations/resize-0.5/maps/sgn/image0.png").shape == (70, 100)
    assert (tmp_path / "degradations.png").read_bytes().startswith(b"\x89PNG")


def test_an_ignored_border_is_named_and_changes_the_scores(examples: list[Example], tmp_path: Path) -> None:
    scores = evaluate_rows(rows(), examples, tmp_path, header=HEADER, ignore_border=2)
    everything = scores["rows"][1]["scores"][1]
    share = 64 * 64 / (7000 - (68 * 68 - 64 * 64))
    assert everything["f1"] == pytest.approx(2 * share / (1 + share))
    assert scores["ignore_border"] == 2
    assert "within 2 of a mask's boundary" in (tmp_path / "tables.md").read_text()
    with pytest.raises(UserError, match=r"config.ignore_border: 70 leaves no spliced pixel in image0"):
        evaluate_rows(rows(), examples, tmp_path, header=HEADER, ignore_border=70)


def test_two_images_of_one_name_are_refused(examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="image0: two images of the split have this name"):
        evaluate_rows(rows(), [*examples, examples[0]], tmp_path, header=HEADER)


@pytest.mark.real_data
def test_trivial_rows_on_real_splices_score_what_the_spliced_share_says(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "real" / "dst"
    images = sorted((folder / "images").iterdir())
    masks = [read_mask(folder / "masks" / f"{image.stem}.png") for image in images]
    examples = [Example(read_image(i), mask, i.stem, False) for i, mask in zip(images, masks, strict=True)]
    everything, random = evaluate_rows(rows()[1:], examples, tmp_path, header=HEADER)["rows"]
    shares = np.array([mask.mean() for mask in masks])
    expected = float((2 * shares / (1 + shares)).mean())  # Of the image, where every pixel is marked.
    assert len(images) == 11 and expected == pytest.approx(0.244, abs=5e-4)
    assert (everything["scores"][0]["f1"], everything["scores"][0]["mcc"]) == (pytest.approx(expected, abs=1e-9), 0)
    assert random["scores"][0]["f1"] == pytest.approx(expected, abs=5e-4)
    assert 0 <= random["scores"][0]["mcc"] < 0.01


def test_names_of_images_in_folders_stay_apart() -> None:
    assert map_path(Path("maps"), "sgn", "a/b") == Path("maps/sgn/a__b.png")
