"""The served page in Chromium, as its visitor uses it: with files, a mouse, a keyboard, a narrow window."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation import browser
from tests.examination.samples import jpeg, scene
from tests.serve.visitor import Visitor, visited

pytestmark = pytest.mark.skipif(browser.EXECUTABLE is None, reason="there is no Chromium to open the page in")

NAME = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    with visited() as visitor:
        yield visitor


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs") / NAME
    path.write_bytes(jpeg(scene()))
    return path


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.Page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(opened: browser.Page, visitor: Visitor) -> Iterator[browser.Page]:
    """The page just opened, without photographs; afterwards, that nothing erred and no other host was asked."""
    opened.resize(1200, 900)
    opened.open(visitor.origin)
    opened.run("sessionStorage.clear()")
    opened.open(visitor.origin)
    yield opened
    assert opened.complaints() == []
    assert opened.requested()
    assert [url for url in opened.requested() if not url.startswith(("data:", visitor.origin))] == []


def choose(page: browser.Page, *files: Path) -> None:
    root = page.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(file) for file in files], nodeId=node)


def finished(page: browser.Page, number: int = 1) -> None:
    page.until(f"document.querySelectorAll('.none .results:not([hidden])').length === {number}")


def test_a_chosen_file_is_examined_row_by_row_and_its_page_works(page: browser.Page, photo: Path) -> None:
    choose(page, photo)
    page.until("document.querySelector('.rows img')?.complete")
    finished(page)
    assert page.run("document.querySelector('h3').textContent") == NAME
    assert page.run("document.querySelectorAll('[onerror]').length") == 0
    assert page.run("[...document.querySelectorAll('.rows b')].map(each => each.textContent).sort()") == ["one", "two"]
    assert page.run("document.getElementById('said').textContent") == (
        f"{NAME}: No verdict: no trained model looked at this photograph"
    )
    assert page.complaints() == []
    page.open(page.run("document.querySelector('.open').href"))
    page.run("(byId('row').selectedIndex = 1, byId('row').dispatchEvent(new Event('change')))")
    page.until("byId('marked').textContent === 'one marks 50 % of the photograph.'")
    assert page.run("origin") == "null"  # In a sandbox: whatever a file might smuggle in, it may not ask the server.
    page.run("(byId('threshold').value = 250, byId('threshold').dispatchEvent(new Event('input')))")
    page.until("byId('marked').textContent.startsWith('At this threshold')")


def test_files_are_dropped_and_a_broken_one_is_named(page: browser.Page, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photograph")
    files = [str(photo), str(tmp_path / "broken.jpg")]
    dragged = {"items": [], "files": files, "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=300, y=300, data=dragged)
    finished(page)
    page.until("document.querySelector('.failed .state')")
    assert page.run("document.querySelector('.failed .state').textContent").startswith("Not examined: not an image")
    assert not page.run("document.body.classList.contains('over')")


def test_the_keyboard_alone_chooses_a_file_and_opens_its_page(page: browser.Page, photo: Path) -> None:
    page.call("Page.setInterceptFileChooserDialog", enabled=True)
    page.press("Tab")
    assert page.run("document.activeElement.id") == "files"
    page.press("Enter")
    node = page.wait_for("Page.fileChooserOpened")["backendNodeId"]
    page.call("Page.setInterceptFileChooserDialog", enabled=False)
    page.call("DOM.setFileInputFiles", files=[str(photo)], backendNodeId=node)
    finished(page)
    page.press("Tab")
    assert page.run("document.activeElement.className") == "open"
    wanted = page.run("document.activeElement.href")
    page.press("Enter")
    targets: list[dict[str, str]] = []
    while not (new := [each["targetId"] for each in targets if each["url"] == wanted and NAME in each["title"]]):
        targets = page.call("Target.getTargets")["targetInfos"]
    page.call("Target.closeTarget", targetId=new[0])


def test_a_page_that_is_loaded_again_shows_its_photographs_again(
    page: browser.Page, photo: Path, visitor: Visitor
) -> None:
    choose(page, photo)
    finished(page)
    page.open(visitor.origin)
    finished(page)
    assert page.run("document.querySelector('h3').textContent") == NAME


def test_a_file_that_is_too_large_is_not_even_sent(page: browser.Page, photo: Path) -> None:
    page.run("document.body.dataset.bytes = 10")
    choose(page, photo)
    page.until("document.querySelector('.failed')")
    assert "over 64 MB" in page.run("document.querySelector('.failed .state').textContent")
    assert not any("name=" in url for url in page.requested())


def test_nothing_is_wider_than_the_window(page: browser.Page, photo: Path) -> None:
    choose(page, photo)
    finished(page)
    page.run("document.querySelector('details').open = true")
    for width in (320, 375, 1280):
        page.resize(width, 900)
        assert page.run("document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_the_visitor_wants_it_dark(page: browser.Page) -> None:
    assert [page.brightness(scheme) > 0.5 for scheme in ("light", "dark")] == [True, False]


def test_every_control_and_picture_has_a_name(page: browser.Page, photo: Path) -> None:
    choose(page, photo)
    finished(page)
    assert page.run("[...document.querySelectorAll('input, progress')].every(e => e.labels.length || e.ariaLabel)")
    assert page.run("[...document.querySelectorAll('a')].every(e => e.textContent.includes(' of <img'))")
    assert page.run("[...document.images].every(e => e.alt)")
    assert page.run("document.querySelector('[role=status][aria-live=polite]') !== null")
