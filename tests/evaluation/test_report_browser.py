"""The report in Chromium, as its reader uses it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax.data import Example
from splice_jax.evaluation.evaluate import evaluate_rows
from splice_jax.evaluation.maps.degradations import parse
from splice_jax.evaluation.maps.make import Row
from splice_jax.methods import Found, Localizer, Undefined, localizer
from tests.evaluation import browser

pytestmark = pytest.mark.skipif(browser.EXECUTABLE is None, reason="there is no Chromium to open the report in")

IMAGES = 100
HEADER = {"dataset": "columbia", "split": "test", "config": {"method": "sgn"}, "commit": "abc"}
NAME = "<img src=x onerror=alert(1)>&\"'</script>"


class Brightness(Localizer):
    """Bright is spliced, in images that are not too dark."""

    def __init__(self, name: str, noise: int, least: float) -> None:
        self.name, self.noise, self.least = name, noise, least

    def __call__(self, image: np.ndarray) -> Found:
        if image.mean() < self.least:
            raise Undefined(f"{self.name}: the image is too <dark>")
        random = np.random.default_rng(image.sum())
        noisy = image.mean(axis=-1) + random.normal(0, self.noise, image.shape[:2])
        probability = (noisy / 255).clip(0, 1).astype(np.float32)
        return Found(probability, probability >= 0.5)


def example(number: int) -> Example:
    mask = np.zeros((18, 24), bool)
    mask[: 6 + number % 9, 2:12] = True
    image = np.random.default_rng(number).integers(0, 120, (*mask.shape, 3)) + 90 * mask[..., None]
    return Example(image.astype(np.uint8), mask, NAME if number == 7 else f"image {number}", authentic=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("report")
    rows = [Brightness("sgn", 10, 0), Brightness("noi1", 60, 82), Brightness("adq2", 0, 300), localizer("all_spliced")]
    examples = [example(number) for number in range(IMAGES)]
    degradations = parse("noise:20")
    evaluate_rows(list(map(Row, rows)), examples, output, header=HEADER, degradations=degradations, processes=0)
    return output / "report.html"


@pytest.fixture(scope="module")
def opened(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.Page(tmp_path_factory.mktemp("profile")) as page:
        page.open(report)
        yield page


@pytest.fixture
def page(opened: browser.Page, report: Path) -> Iterator[browser.Page]:
    """The page as it is when it has just been opened; afterwards, that it never erred and asked for nothing else."""
    opened.resize(1200, 900)
    opened.open(report)
    yield opened
    assert opened.complaints() == []
    assert [url for url in opened.requested() if not url.startswith(("data:", "file:///"))] == []
    assert sum(url.startswith("file:") for url in opened.requested()) == 1


def choose(page: browser.Page, name: str, value: str) -> None:
    page.run(f"(byId('{name}').value = '{value}', byId('{name}').dispatchEvent(new Event('change')))")


def column(page: browser.Page, number: int, table: str = "#scores") -> Any:
    return page.run(f"[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{number}].innerText)")


def names(page: browser.Page) -> Any:
    return page.run("[...document.querySelectorAll('#cards li:not([hidden]) .name')].map(name => name.textContent)")


def painted(page: browser.Page, canvas: str = "#cards canvas") -> Any:
    """RGB of the points of the first canvas of this kind."""
    found = page.run(f"""(canvas => {{
        const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {{willReadFrequently: true}});
        context.drawImage(canvas, 0, 0);
        return [canvas.height, canvas.width, ...context.getImageData(0, 0, canvas.width, canvas.height).data];
    }})(document.querySelector("{canvas}"))""")
    return np.array(found[2:], np.uint8).reshape(found[0], found[1], 4)[..., :3].astype(int)


def test_columns_are_sorted_by_click_and_key_and_what_is_undefined_stays_last(page: browser.Page) -> None:
    head = "document.querySelector('#scores th[data-column=\"1\"]')"
    assert page.run(f"{head}.getAttribute('aria-sort')") is None
    page.run(f"{head}.querySelector('button').click()")
    assert page.run(f"{head}.getAttribute('aria-sort')") == "descending"
    assert column(page, 0) == ["sgn", "noi1", "all_spliced", "adq2"]
    page.run(f"{head}.querySelector('button').focus()")
    page.press("Enter")
    assert page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert column(page, 0) == ["all_spliced", "noi1", "sgn", "adq2"]
    assert page.run("document.querySelectorAll('#scores [aria-sort]').length") == 1
    page.run("document.querySelector('#scores th[data-column=\"0\"] button').click()")
    assert column(page, 0) == ["adq2", "all_spliced", "noi1", "sgn"]


def test_one_score_is_shown_under_every_convention_and_differences_of_one_row(page: browser.Page) -> None:
    shown = (
        "[...document.querySelectorAll('.of-score')].filter(each => each.offsetParent).map(each => each.dataset.score)"
    )
    assert page.run(shown) == ["f1"]
    choose(page, "convention-score", "auc")
    assert page.run(shown) == ["auc"]
    lines = "[...document.querySelectorAll('#differences tbody tr')].filter(e => e.offsetParent).map(e => e.innerText)"
    assert [line.split()[:2] for line in page.run(lines)] == [["sgn", each] for each in ("noi1", "adq2", "all_spliced")]
    assert page.run(lines)[1].split() == ["sgn", "adq2", "–", "–", "0"]
    choose(page, "difference-row", "noi1")
    assert [line.split()[1] for line in page.run(lines)] == ["sgn", "adq2", "all_spliced"]


def test_few_pictures_are_decoded_at_first_and_those_left_behind_are_given_up(page: browser.Page) -> None:
    page.run("byId('images').scrollIntoView({behavior: 'instant'})")
    page.until("cards[0].item.classList.contains('drawn')")
    count = "cards.filter(({canvas}) => canvas.width > 0 && canvas.width !== 300).length"
    assert 4 <= page.run(count) < IMAGES / 2
    page.run("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    page.until("cards[state.order.at(-1)].item.classList.contains('drawn') && cards[state.order[0]].canvas.width === 0")
    assert page.run(count) < IMAGES / 2
    page.until("document.querySelectorAll('#cards .drawn').length === near.size")


def test_errors_are_those_of_the_map_in_orange_and_blue(page: browser.Page) -> None:
    page.run("byId('images').scrollIntoView({behavior: 'instant'})")
    choose(page, "called", "half")
    choose(page, "row", "noi1")
    page.run("change({called: 'half', row: 'sgn'})")
    page.until("cards[state.order[0]].item.classList.contains('drawn')")
    rank = page.run("data.images[state.order[0]].name")
    source = next(each for each in map(example, range(IMAGES)) if each.name == rank)
    guess = Brightness("sgn", 10, 0)(source.image).mask
    page.until("document.querySelector('#cards canvas').width === 24")
    red, green, blue = np.moveaxis(painted(page), -1, 0)
    false_positive, miss = guess & ~source.mask, ~guess & source.mask
    assert miss.any()
    assert (blue[miss] > red[miss] + 40).all()
    assert (red[false_positive] > blue[false_positive] + 80).all()
    assert (abs(red - blue)[~guess & ~source.mask] < 3).all()
    # Orange and blue differ in lightness and along blue-yellow, which every common colour blindness keeps.


def test_the_view_is_toggled_by_the_keyboard_and_the_legend_follows(page: browser.Page) -> None:
    page.run("cards[state.order[0]].button.focus()")
    page.press("4")
    page.until(
        "cards[state.order[0]].item.classList.contains('drawn') && document.querySelector('#cards canvas').width === 24"
    )
    assert "authentic" in page.run("document.querySelector('.legend').innerText")
    first = page.run("data.images[state.order[0]].name")
    mask = next(each.mask for each in map(example, range(IMAGES)) if each.name == first)
    deadline = time.monotonic() + 30
    while not np.array_equal(painted(page), np.repeat(255 * mask[..., None], 3, axis=2)):
        assert time.monotonic() < deadline, "the ground truth never appears"
    page.run("document.querySelector('[name=view]:checked').focus()")
    page.press("ArrowLeft")
    assert page.run("state.view") == "errors"
    assert "miss" in page.run("document.querySelector('.legend').innerText") and "false positive" in page.run(
        "document.querySelector('.legend').innerText"
    )


def test_images_are_sorted_by_any_row_and_score_and_found_by_name(page: browser.Page) -> None:
    keys = [page.run(f"data.images[{index}].rows.sgn.best[0]") for index in range(0, IMAGES, 9)]
    assert keys == sorted(keys, reverse=True)
    choose(page, "sort-row", "noi1")
    choose(page, "sort", "best.1")
    found = page.run("state.order.map(index => data.images[index].rows.noi1.best?.[1] ?? null)")
    defined = [value for value in found if value is not None]
    assert 0 < len(defined) < IMAGES
    assert found == [*sorted(defined, reverse=True), *[None] * (IMAGES - len(defined))]
    page.run("byId('turn').click()")
    assert page.run("state.order.map(index => data.images[index].rows.noi1.best?.[1] ?? null)")[
        : len(defined)
    ] == sorted(defined)
    choose(page, "sort", "name")
    page.run("byId('turn').click()")
    assert [name.split(". ")[1] for name in names(page)[:3]] == [NAME, "image 0", "image 1"]
    page.run("(byId('find').value = 'AGE 9', byId('find').dispatchEvent(new Event('input')))")
    assert len(names(page)) == 11


def test_a_row_is_chosen_and_says_where_it_is_undefined(page: browser.Page) -> None:
    choose(page, "row", "adq2")
    page.run("byId('images').scrollIntoView({behavior: 'instant'})")
    reason = "cards[state.order[0]].reason.textContent"
    page.until(f"{reason} !== ''")
    assert page.run(reason) == "– adq2: the image is too <dark>"
    choose(page, "row", "sgn")
    page.until("cards[state.order[0]].item.classList.contains('drawn') && cards[state.order[0]].canvas.width === 24")
    assert page.run(reason) == ""


def test_an_image_is_opened_and_left_by_the_keyboard_alone(page: browser.Page) -> None:
    page.run("cards[state.order[0]].button.focus()")
    page.press("ArrowRight")
    page.press("Enter")
    assert page.run("byId('viewer').open && state.open === state.order[1]")
    page.until("byId('above').width === 24 && byId('below').width === 24")
    page.press("ArrowRight")
    assert page.run("state.open === state.order[2]") and page.run("byId('place').textContent") == "3 of 100"
    page.press("2")
    page.press("ArrowDown")
    assert page.run("[state.view, state.row]") == ["map", "noi1"]
    assert page.run("byId('viewer-rows').rows.length") == 3
    page.run("(byId('mix').value = 30, byId('mix').dispatchEvent(new Event('input')))")
    assert page.run("byId('above').style.opacity") == "0.3"
    page.press("Escape")
    page.until("!byId('viewer').open && state.open === null")  # The event `close` comes after the dialog has closed.
    assert page.run("document.activeElement === cards[state.order[2]].button")


def test_charts_have_every_row_and_read_out_the_threshold(page: browser.Page) -> None:
    assert page.run("document.querySelectorAll('#curve path').length") == 4
    assert page.run("document.querySelectorAll('#distribution text.name').length") == 4
    assert page.run("document.querySelectorAll('#degraded svg').length") == 1
    page.run("(byId('curve-threshold').value = 40, byId('curve-threshold').dispatchEvent(new Event('input')))")
    assert page.run("byId('curve-at').textContent") == "0.200"
    expected = page.run("data.curves.rows[0].images.f1[40].toFixed(3)")
    assert page.run("byId('curve-key').children[0].innerText").split() == ["sgn", expected]
    page.run("byId('curve-key').children[0].click()")
    assert page.run("document.querySelectorAll('#curve path').length") == 3
    assert page.run("document.activeElement.dataset.row") == "sgn"


@pytest.mark.parametrize("width", [375, 1600])
def test_nothing_is_wider_than_the_window(page: browser.Page, width: int) -> None:
    page.resize(width, 900)
    page.run("dispatchEvent(new Event('resize'))")
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run("openViewer(0)")
    assert page.run("byId('viewer').scrollWidth <= byId('viewer').clientWidth")


def test_names_are_text_and_never_markup(page: browser.Page) -> None:
    assert any(name.endswith(NAME) for name in names(page))
    assert page.run("document.querySelectorAll('img').length") == 0


def test_without_a_program_the_tables_are_there_and_no_dead_control(opened: browser.Page, report: Path) -> None:
    opened.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened.open(report)
        document = opened.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        tables = opened.call("DOM.querySelectorAll", nodeId=document, selector="table.sortable")["nodeIds"]
        assert len(tables) == 8
        controls = opened.call("DOM.querySelector", nodeId=document, selector="#convention-score")["nodeId"]
        with pytest.raises(AssertionError):
            opened.call("DOM.getBoxModel", nodeId=controls)
        assert all(opened.call("DOM.getBoxModel", nodeId=table) for table in tables)
    finally:
        opened.call("Emulation.setScriptExecutionDisabled", value=False)
