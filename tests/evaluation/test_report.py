import html.parser
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splice_jax.evaluation import pictures, published, report
from splice_jax.evaluation.grid import RowScores
from splice_jax.evaluation.image_scores import survey
from splice_jax.evaluation.report import Picture
from splice_jax.metrics import quantize

VOID = {"meta", "link", "br", "img", "line", "circle"}


class Checker(html.parser.HTMLParser):
    """Collects what the tests ask for and insists that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
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


def picture(name: str, seed: int = 0, size: tuple[int, int] = (20, 30)) -> Picture:
    random = np.random.default_rng(seed)
    mask = np.arange(size[0] * size[1]).reshape(size) % 3 == 0
    maps = {row: quantize(random.random(size)) for row in ("sgn", "sgn+crf")}
    scores = {row: survey(levels, mask)[0] for row, levels in maps.items()}
    return Picture(name, random.integers(0, 256, (*size, 3), dtype=np.uint8), mask, maps, scores)


@pytest.fixture
def scores(scored: Callable[..., RowScores]) -> dict[str, Any]:
    images = [picture(str(seed), seed) for seed in range(4)]
    entries = scored([(each.maps["sgn"], each.mask) for each in images]).entries(seed=0)
    rows = [("sgn", "none"), ("sgn", "pydensecrf"), ("all_spliced", "none"), ("random", "none")]
    return {
        "dataset": "folder",
        "split": "test",
        "images": 4,
        "authentic_images": 2,
        "config": {"evaluation_name": "", "data_dir": "<&>", "crf": {"backend": "pydensecrf", "iterations": 5}},
        "commit": "0123abc",
        "rows": [
            {
                "method": method,
                "crf": crf,
                "scores": entries,
                "patch_accuracy": {"classification": 0.75, "segmentation": 0.5} if method == "sgn" else None,
                "seconds_per_image": 0.25,
            }
            for method, crf in rows
        ],
    }


@pytest.fixture
def page(scores: dict[str, Any], tmp_path: Path) -> str:
    report.write(tmp_path / "report.html", scores, iter([picture("first <i>"), picture("second", 1, (900, 700))]))
    return (tmp_path / "report.html").read_text()


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(page: str) -> None:
    checker = Checker(page)
    assert checker.open == []
    sources = [attributes[key] for _, attributes in checker.attributes for key in ("src", "href") if key in attributes]
    assert len(sources) > 10
    assert all(source is not None and source.startswith("data:") for source in sources)
    assert not re.search(r"https?://|url\(|@import|<script", page)
    assert not re.search(r"\$[a-z_]+", page)


def test_every_image_has_its_pictures_which_load_lazily(page: str) -> None:
    images = [attributes for tag, attributes in Checker(page).attributes if tag == "img"]
    assert [image["alt"] for image in images[:5]] == [
        "first <i>: image",
        "first <i>: ground truth",
        "first <i>: map of sgn",
        "first <i>: map of sgn+crf",
        "first <i>: errors of sgn+crf",
    ]
    assert len(images) == 10
    assert {image["loading"] for image in images} == {"lazy"}
    assert page.index("1. first") < page.index("2. second")


def test_words_of_users_are_escaped(page: str) -> None:
    assert "first <i>" not in page.replace('alt="first <i>', "")
    assert "first &lt;i&gt;" in page
    assert "&lt;&amp;&gt;" in page


def test_measured_and_published_figures_stand_in_tables_of_their_own(page: str) -> None:
    measured, rest = page.split("<h2>Published</h2>")
    assert '<th scope="row">sgn+crf</th>' in measured
    assert '<th scope="row">random</th>' in measured
    assert "SGN + CRF" not in measured
    assert "0.790" in rest and "read in the paper&#x27;s table" in rest
    assert "75.0%<small>50.0%</small>" in measured


def test_the_headline_the_counts_and_the_crf_are_named(page: str) -> None:
    assert "F1 and MCC at the best threshold per image (oracle), given polarity, mean over images" in page
    assert "authentic images, left out of all means: <b>2</b>" in page
    assert "CRF: backend pydensecrf, iterations 5." in page
    assert "0123abc" in page


def test_the_text_table_shows_every_row_with_intervals(scores: dict[str, Any]) -> None:
    lines = report.text_table(scores).splitlines()
    assert lines[0] == "sgn+crf on folder, test split"
    assert lines[1].startswith("headline (best): F1 and MCC at the best threshold per image (oracle)")
    assert [line.split()[0] for line in lines[5:]] == ["sgn", "sgn+crf", "all_spliced", "random"]
    entry = scores["rows"][0]["scores"][0]
    assert f"{entry['f1']:.3f} [{entry['f1_ci95'][0]:.3f}, {entry['f1_ci95'][1]:.3f}]" in lines[5]
    assert report.title(scores | {"config": {"evaluation_name": "columbia-27"}}) == "sgn+crf on columbia-27"


def test_errors_are_orange_where_too_much_and_blue_where_too_little() -> None:
    grey = np.full((2, 2, 3), 100, np.uint8)
    grey[..., 0] = 130
    truth, guess = np.array([[True, True], [False, False]]), np.array([[True, False], [True, False]])
    shown = decoded(
        pictures.errors(grey.repeat(16, 0).repeat(16, 1), *(m.repeat(16, 0).repeat(16, 1) for m in (truth, guess)))
    )
    right, miss, false_positive, background = shown[8, 8], shown[8, 24], shown[24, 8], shown[24, 24]
    assert np.abs(right - [130, 100, 100]).max() < 12
    assert miss[2] > miss[1] > miss[0] and miss[2] - miss[0] > 80
    assert false_positive[0] > false_positive[1] > false_positive[2] and false_positive[0] - false_positive[2] > 80
    assert np.ptp(background) < 8


def test_pictures_are_reduced_but_never_enlarged() -> None:
    assert decoded(pictures.heat_map(np.zeros((1000, 2000), np.uint16))).shape == (210, 420, 3)
    assert decoded(pictures.photograph(np.zeros((1, 5000, 3), np.uint8))).shape == (1, 420, 3)
    assert decoded(pictures.mask(np.ones((5, 7), bool))).shape == (5, 7)


def test_the_heat_map_grows_lighter() -> None:
    strip = decoded(pictures.heat_map(np.repeat(np.linspace(0, 65535, 400).astype(np.uint16)[None], 16, axis=0)))
    assert (np.diff(strip[8, ::40].sum(axis=-1)) > 0).all()


def test_published_figures_are_the_papers() -> None:
    by_method = {figure.method: figure.scores for figure in published.SCORES}
    assert by_method["SGN + CRF"]["columbia"] == (0.6482, 0.6403)
    assert all(set(figure.scores) <= set(published.DATASETS) for figure in published.SCORES)
    assert all(set(figure.accuracy) == set(published.DATASETS) for figure in published.ACCURACIES)


def decoded(uri: str) -> np.ndarray:
    import base64
    import io

    with Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as image:
        return np.array(image).astype(int)
