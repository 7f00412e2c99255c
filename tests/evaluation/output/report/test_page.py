import base64
import html
import html.parser
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splice_jax.evaluation.output import published
from splice_jax.evaluation.output.report import page as report
from splice_jax.evaluation.output.report import pictures
from splice_jax.evaluation.scores.conventions import conventions

VOID = {"meta", "link", "br", "img", "line", "circle", "path", "input"}
ROWS = {("sgn", "none"): 0.3, ("sgn", "jax"): 0.5, ("all_spliced", "none"): 0.0}
NAME = "<img src=x onerror=alert(1)>&\"'</script>"


class Checker(html.parser.HTMLParser):
    """Collects what the tests ask for and insists that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def scores(made_up: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    found = made_up(ROWS, dataset="columbia", data_dir=NAME)
    found["rows"].append(
        {
            "method": "adq2",
            "crf": "none",
            "scores": [
                dict(each.__dict__) | dict.fromkeys(("f1", "f1_ci95", "mcc", "mcc_ci95", "iou", "auc", "iou_ci95"))
                for each in conventions(validation=False)
            ],
            "patch_accuracy": None,
            "seconds_per_image": None,
            "detection": None,
            "images": 0,
            "undefined": {"no <JPEG>": 3},
        }
    )
    return found | {"authentic_images": 2, "data": {"version": "1.0.0", "fingerprint": "f00d" * 16}}


@pytest.fixture(scope="module")
def page(scores: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    entry = {"best": [0.5, 0.25, 0.4], "half": [0.5, 0.25, 0.4], "auc": 0.75, "threshold": 0.5}
    images = [{"name": NAME, "width": 9, "height": 8, "rows": {"sgn": entry}}]
    curves = {"thresholds": [0, 1], "rows": []}
    report.write(
        path, report.Content(scores, curves, None, images, {}), iter([{"image": "AA", "mask": "BB", "rows": {}}])
    )
    return path.read_text()


def blocks(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="([a-z0-9-]+)">(.*?)</script>', page, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def cell(page: str, table: str, row: str, column: int) -> str:
    body = page[page.index(f'aria-label="{table}"') :]
    line = body[body.index(f'<th scope="row">{row}</th>') :].split("</tr>")[0]
    return line.split("<td")[column]


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(page: str) -> None:
    checker = Checker(page)
    assert checker.open == []
    sources = [attributes[key] for _, attributes in checker.attributes for key in ("src", "href") if key in attributes]
    assert all(source is not None and source.startswith(("data:", "#")) for source in sources)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert not re.search(r"{{ |{% ", page)
    policy = next(a["content"] for tag, a in checker.attributes if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';")


def test_words_of_users_are_escaped_and_come_back_unharmed(page: str) -> None:
    assert "<img" not in page
    assert blocks(page)["data"]["images"][0]["name"] == NAME
    configuration = page.split("<pre")[1].split("</pre>")[0].split(">", 1)[1]
    assert json.loads(html.unescape(configuration))["data_dir"] == NAME


def test_pictures_stand_behind_the_page_as_text(page: str) -> None:
    assert blocks(page)["picture-0"] == {"image": "AA", "mask": "BB", "rows": {}}
    assert page.index('id="picture-0"') > page.index('"use strict"') > page.index("</main>")


def test_measured_and_published_figures_stand_in_tables_of_their_own(page: str) -> None:
    measured, rest = page.split("<h2>Published figures</h2>")
    assert '<th scope="row">sgn+crf</th>' in measured
    assert "SGN + CRF" not in measured
    assert "0.648" in rest and "read in the paper&#39;s table" in rest
    assert "75.00%" in cell(page, "Patch labels and pixels right at 0.5", "sgn", 1)
    assert "89.72%" in cell(page, "Published patch accuracies", "SGN", 5)


def test_the_headline_the_data_and_the_crf_are_named(page: str) -> None:
    assert "F1 and MCC at the best threshold per image (oracle), given polarity, mean over images" in page
    for fact in ("<dt>version</dt><dd>1.0.0</dd>", "<dd>f00df00df00d</dd>", "<dd>0123abc</dd>", "<dd>2</dd>"):
        assert fact in page
    assert "CRF: iterations 5." in page
    assert "No threshold was chosen on validation: there is no such split." in page


def test_every_convention_and_score_has_its_cell(page: str, scores: dict[str, Any]) -> None:
    for score, title in (("f1", "F1"), ("mcc", "MCC"), ("iou", "IoU")):
        for column, entry in enumerate(scores["rows"][0]["scores"], start=1):
            assert f'data-value="{entry[score]!r}"' in cell(page, f"{title} under every convention", "sgn", column)
    auc = page[page.index('aria-label="AUC under every convention"') :].split("</table>")[0]
    assert auc.count("all thresholds") == 4


def test_a_row_that_is_undefined_says_so_with_the_reason_and_never_0(page: str) -> None:
    reason = "– for 3 of 3 images: no &lt;JPEG&gt;"
    for column in range(1, 10):
        assert cell(page, "Headline scores of every row", "adq2", column).endswith(f' title="{reason}">–</td>')
    assert "0 of 3" in cell(page, "Headline scores of every row", "adq2", 10)
    assert f"<li>adq2: {reason}</li>" in page
    assert cell(page, "F1 under every convention", "adq2", 1).endswith(">–</td>")


def test_differences_are_of_every_row_with_their_sign(page: str, scores: dict[str, Any]) -> None:
    for row, other, sign in (("sgn", "sgn+crf", 1), ("sgn+crf", "sgn", -1)):
        lines = re.findall(rf'<tr data-row="{re.escape(row)}" data-threshold="best"[^>]*>.*?</tr>', page)
        [line] = [line for line in lines if f">{other}</td>" in line]
        assert f"{sign * scores['differences'][0]['f1']:+.3f}".replace("-", "−") in line
        assert (" hidden>" in line) == (row == "sgn")


def test_the_text_table_shows_every_row_with_intervals_and_reasons(scores: dict[str, Any]) -> None:
    lines = report.text_table(scores).splitlines()
    assert lines[0] == "sgn+crf on columbia, test split"
    assert lines[1].startswith("headline (best): F1 and MCC at the best threshold per image (oracle)")
    assert [line.split()[0] for line in lines[5:9]] == ["sgn", "sgn+crf", "all_spliced", "adq2"]
    entry = scores["rows"][0]["scores"][0]
    assert f"{entry['f1']:.3f} [{entry['f1_ci95'][0]:.3f}, {entry['f1_ci95'][1]:.3f}]" in lines[5]
    assert lines[8].split() == ["adq2", "–", "–", "–", "–", "–", "0", "–"]
    assert lines[9] == "adq2: – for 3 of 3 images: no <JPEG>"
    assert report.title(scores | {"config": {"evaluation_name": "columbia-27"}}) == "sgn+crf on columbia-27"


def test_pictures_are_reduced_but_never_enlarged() -> None:
    assert decoded(pictures.probability(np.zeros((1000, 2000), np.uint16))).shape == (240, 480)
    assert decoded(pictures.photograph(np.zeros((1, 5000, 3), np.uint8))).shape == (1, 480, 3)
    assert decoded(pictures.mask(np.ones((5, 7), bool))).shape == (5, 7)
    assert decoded(pictures.called(np.zeros((300, 200), np.uint16), 0, side=150)).shape == (150, 100)


def test_what_is_called_spliced_is_exact_at_both_thresholds() -> None:
    levels = np.array([[0, 99, 100, 32767, 32768, 65535]], np.uint16)
    assert decoded(pictures.called(levels, 100)).tolist() == [[0, 0, 85, 85, 255, 255]]
    assert decoded(pictures.called(levels, 65536)).tolist() == [[0, 0, 0, 0, 170, 170]]


def test_reports_of_many_maps_have_smaller_ones() -> None:
    assert pictures.longest_side(0) == pictures.longest_side(2500) == 480
    total = [pictures.longest_side(maps) ** 2 * maps for maps in (2500, 5000, 20000)]
    assert max(total) / min(total) < 1.02


def test_published_figures_are_the_papers() -> None:
    by_method = {figure.method: figure.scores for figure in published.SCORES}
    assert by_method["SGN + CRF"]["columbia"] == (0.6482, 0.6403)
    assert all(set(figure.scores) <= set(published.DATASETS) for figure in published.SCORES)
    assert all(set(figure.accuracy) == set(published.DATASETS) for figure in published.ACCURACIES)


def decoded(encoded: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        return np.array(image).astype(int)


def test_the_reliability_of_a_score_is_drawn(scores: dict[str, Any], tmp_path: Path) -> None:
    bins = [{"from": 0.7, "images": 25, "score": 0.75, "spliced": 0.5}]
    interval = {f"{name}{end}": value for name in ("auc", "balanced_accuracy", "ece") for end, value in SCORE.items()}
    detection = {
        "image_score": "peak",
        **{key: interval[key] for key in ("auc", "auc_ci95")},
        **dict.fromkeys(("false_positive_pixels", "false_alarms", "detections"), 0.25),
        "alarm": "loud",
        "images": {"spliced": 3, "authentic": 2},
        "score": interval | {"bins": bins},
        "at_false_alarms": {"rate": 0.1, "threshold": 0.5, **dict.fromkeys(("f1", "mcc"), 0.5), **LOW_HIGH},
    }
    first, *others = scores["rows"]
    path = tmp_path / "report.html"
    content = report.Content(
        scores | {"rows": [first | {"detection": detection}, *others]}, {"thresholds": [], "rows": []}, None, [], {}
    )
    report.write(path, content, iter([]))
    page = path.read_text()
    assert Checker(page).open == []
    assert re.findall(r'<circle cx="([^"]*)" cy="([^"]*)"\nr="([^"]*)"', page) == [("150.0", "100.0", "5.0")]
    assert "0.500" in cell(page, "Detection of authentic images", f"{first['method']}", 5)


SCORE = {"": 0.8, "_ci95": [0.7, 0.9]}
LOW_HIGH = {"f1_ci95": [0.4, 0.6], "mcc_ci95": [0.4, 0.6]}
