"""The page of an examination in Chromium, as its reader uses it."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax.examination.batch import examine_file
from splice_jax.examination.rows import Rows
from splice_jax.methods import Found, Localizer, localizer
from splice_jax.weights.calibration import Calibration
from tests.evaluation import browser
from tests.examination.samples import exif, jpeg, scene

pytestmark = pytest.mark.skipif(browser.EXECUTABLE is None, reason="there is no Chromium to open the page in")

NAME = "<img src=x onerror=alert(1)>.jpg"
SIZE = 120, 160


class Slope(Localizer):
    """Rises from left to right; marked from the middle on, or in a place that no threshold gives."""

    def __init__(self, name: str, *, apart: bool = False, alarm: float | None = None) -> None:
        self.name, self.apart, self.alarm = name, apart, alarm
        self.calibration = Calibration(0, 0, 1, 0, np.zeros(600, np.float32))

    def __call__(self, image):
        probability = np.broadcast_to(np.linspace(0, 1, image.shape[1], dtype=np.float32), image.shape[:2])
        mask = probability >= 0.5
        if self.apart:
            mask = np.zeros_like(mask)
            mask[:30, :40] = True
        return Found(np.array(probability), mask, score=None if self.alarm is None else 0.9, alarm=self.alarm)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    image = scene(*SIZE)
    image[:40, 100:] = 255
    photo = folder / NAME
    photo.write_bytes(jpeg(image, exif=exif({0x0131: f"GIMP {NAME}"})))
    examine_file(
        photo, folder / "photo", Rows(Slope("sgt", alarm=0.04), [Slope("apart", apart=True), localizer("nadq")])
    )
    return folder / "photo.examination.html"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.Page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(opened: browser.Page, file: Path) -> Iterator[browser.Page]:
    """The page just opened; afterwards, that it never erred and asked for nothing else."""
    opened.resize(1200, 900)
    opened.open(file)
    opened.until("byId('marked').textContent !== ''")
    yield opened
    assert opened.complaints() == []
    assert [url for url in opened.requested() if not url.startswith(("data:", "file:///"))] == []
    assert sum(url.startswith("file:") for url in opened.requested()) == 1


def slide(page: browser.Page, name: str, value: int) -> None:
    page.run(f"(byId('{name}').value = {value}, byId('{name}').dispatchEvent(new Event('input')))")


def alpha(page: browser.Page) -> Any:
    """The painted layer's opacity at every point, 0 … 255."""
    found = page.run("""(canvas => {
        const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
        context.drawImage(canvas, 0, 0);
        return [canvas.height, canvas.width, ...context.getImageData(0, 0, canvas.width, canvas.height).data];
    })(byId("painted"))""")
    return np.array(found[2:], np.uint8).reshape(found[0], found[1], 4)[..., 3]


def test_the_threshold_slider_repaints_the_mask_and_its_own_comes_back(page: browser.Page) -> None:
    columns = np.linspace(0, 1, SIZE[1])
    np.testing.assert_array_equal(alpha(page) > 0, np.broadcast_to(columns >= 0.5, SIZE))
    assert page.run("byId('marked').textContent") == "sgt marks 50 % of the photograph."
    assert page.run("Number(byId('threshold').value)") in (127, 128)
    slide(page, "threshold", 204)
    page.until("byId('marked').textContent.startsWith('At this threshold')")
    np.testing.assert_array_equal(alpha(page) > 0, np.broadcast_to(np.rint(255 * columns) >= 204, SIZE))
    assert page.run("byId('threshold-at').textContent") == "0.800"
    page.run("byId('own').click()")
    page.until("byId('threshold-at').textContent === 'its own'")
    np.testing.assert_array_equal(alpha(page) > 0, np.broadcast_to(columns >= 0.5, SIZE))


def test_the_opacity_slider_changes_the_layer_alone(page: browser.Page) -> None:
    slide(page, "opacity", 20)
    page.until("byId('painted').style.opacity === '0.2'")
    assert page.run("byId('opacity-at').textContent") == "20 %"
    assert page.run("getComputedStyle(byId('photograph')).opacity") == "1"


def test_any_row_can_be_laid_over_the_photograph_and_shown_as_a_map(page: browser.Page) -> None:
    assert page.run("[...byId('row').options].map(each => each.textContent)") == ["sgt", "apart"]
    page.run("(byId('row').selectedIndex = 1, byId('row').dispatchEvent(new Event('change')))")
    page.until("byId('marked').textContent.startsWith('apart marks')")
    expected = np.zeros(SIZE, bool)
    expected[:30, :40] = True
    np.testing.assert_array_equal(alpha(page) > 0, expected)
    page.run("document.querySelector('[name=show][value=map]').click()")
    page.until("state.show === 'map'")
    assert (alpha(page) == 255).all()


def test_what_has_no_evidence_is_hatched_and_the_hatching_can_be_taken_off(page: browser.Page) -> None:
    assert page.run("!byId('hatched').hidden && byId('hatched').naturalWidth > 0")
    page.run("byId('hatch').click()")
    page.until("byId('hatched').hidden")


def test_both_sliders_are_moved_by_the_keyboard_alone(page: browser.Page) -> None:
    before = page.run("[state.opacity, Number(byId('threshold').value)]")
    for name in ("opacity", "threshold"):
        page.run(f"byId('{name}').focus()")
        page.press("ArrowRight")
    page.until("state.threshold !== null")
    assert page.run("[state.opacity, state.threshold]") == [before[0] + 1, before[1] + 1]
    assert page.run("byId('painted').getAttribute('aria-label')").startswith("At this threshold")


def test_the_verdict_says_what_its_numbers_mean(page: browser.Page) -> None:
    text = page.run("document.querySelector('.verdict').innerText")
    assert "Of 100 authentic photographs, 4 look as suspicious as this one" in text
    assert page.run("document.querySelector('.verdict').classList.contains('suspicious')")


def test_names_and_metadata_are_text(page: browser.Page) -> None:
    assert page.run("document.querySelector('h1').textContent") == NAME
    assert page.run("[...document.images].every(image => image.src.startsWith('data:'))")
    assert page.run("document.querySelectorAll('[onerror]').length") == 0


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_window(page: browser.Page, width: int) -> None:
    page.resize(width, 900)
    assert page.run("document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_the_reader_wants_it_dark_and_printed_on_white(page: browser.Page) -> None:
    assert [page.brightness(scheme) > 0.5 for scheme in ("light", "dark")] == [True, False]
    assert page.brightness("dark", media="print") == 1


def test_it_is_printed_on_few_pages(page: browser.Page) -> None:
    printed = base64.b64decode(page.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2  # of three rows; of all of them, 3 or 4


def test_every_control_has_a_label(page: browser.Page) -> None:
    unnamed = "[...document.querySelectorAll('input, select, button')].filter(e => !e.labels?.length && !e.innerText)"
    assert page.run(f"{unnamed}.length") == 0


def test_without_a_program_the_maps_are_there_and_no_dead_control(opened: browser.Page, file: Path) -> None:
    opened.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened.open(file)
        document = opened.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        find = lambda selector: opened.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]  # noqa: E731
        assert all(opened.call("DOM.getBoxModel", nodeId=find(each)) for each in ("#still", ".row .map", ".row .tint"))
        with pytest.raises(AssertionError):
            opened.call("DOM.getBoxModel", nodeId=find("#threshold"))
    finally:
        opened.call("Emulation.setScriptExecutionDisabled", value=False)
