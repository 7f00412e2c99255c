"""How long a visitor of the served page waits, and what the server needs for it: a browser drops files on the page.

    python -m benchmarks.served [--photograph=FILE] [--uploads=DIR]

Starts `splice-jax serve` on a free port with the packaged model. With `--photograph`, drops that file and tells when
its first row and its finished page were there, and the page's size. With `--uploads`, drops the 15 largest photographs
of a folder at once, with 5 files that are damaged or bombs, and tells what became of all. Both with the server's
processor time and its most memory, its processes together. Needs Chromium and the extra `[serve]`.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from benchmarks import processes
from splice_jax import errors
from splice_jax.errors import UserError
from splice_jax.images import images_in, pixels_stated
from tests.evaluation.browser import EXECUTABLE, Page
from tests.examination.samples import bomb, scans

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from splice_jax.cli import main; main()", "serve", "--port=0"]
GOOD, PATIENCE = 15, 3600
ENDED = "[...document.querySelectorAll('.photograph')].every(each => each.querySelector('progress').hidden)"


class Used(NamedTuple):
    """What a server and the processes that it started have used."""

    seconds: float
    """Of processors."""
    megabytes: float
    """In memory now; what processes share is counted once."""


def main() -> None:
    """Serves, visits, prints."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.served", description=__doc__)
    flags.add_argument("--photograph", type=Path, metavar="FILE", help="to be dropped alone")
    flags.add_argument("--uploads", type=Path, metavar="DIR", help="at least 15 photographs, to be dropped at once")
    given = flags.parse_args()
    if EXECUTABLE is None:
        raise UserError("there is no Chromium to open the page in; install it")
    with tempfile.TemporaryDirectory() as folder:
        if given.photograph:
            with _visited(Path(folder)) as (page, server):
                alone(page, server, given.photograph)
        if given.uploads:
            files = [*largest(given.uploads), *spoiled(Path(folder), given.uploads)]
            with _visited(Path(folder)) as (page, server):
                together(page, server, files)


def alone(page: Page, server: "Watched", photograph: Path) -> None:
    """Prints what it takes until the first row of a photograph and its page are there."""
    before, start = server.used().seconds, time.perf_counter()
    drop(page, [photograph])
    for what, there in (
        ("first row", "document.querySelector('.rows li')"),
        ("page", "document.querySelector('.results:not([hidden])')"),
    ):
        page.until(there, PATIENCE)
        wall, busy = time.perf_counter() - start, server.used().seconds - before
        print(f"{what} after {wall:.1f} s, {busy:.1f} s of processors", flush=True)
    size = page.run(
        "fetch(document.querySelector('.open').href).then(answer => answer.text()).then(text => text.length)"
    )
    with Image.open(photograph) as image:
        pixels = image.width * image.height
    print(f"{pixels / 1e6:.1f} megapixels: a page of {size / 1e6:.1f} MB; at most {server.most:.0f} MB", flush=True)


def together(page: Page, server: "Watched", files: Sequence[Path]) -> None:
    """Prints what became of files that were dropped at once."""
    start = time.perf_counter()
    drop(page, files)
    page.until(f"document.querySelectorAll('.photograph').length === {len(files)} && {ENDED}", PATIENCE)
    wall, results = time.perf_counter() - start, page.run("document.querySelectorAll('.results:not([hidden])').length")
    words = "['h3', '.state'].map(part => each.querySelector(part).textContent)"
    failed = page.run(f"[...document.querySelectorAll('.failed')].map(each => {words})")
    print(f"{len(files)} uploads: {results} results, {len(failed)} failures, after {wall:.0f} s", flush=True)
    for name, reason in failed:
        print(f"  {name}: {reason}")
    print(f"{server.used().seconds:.0f} s of processors; at most {server.most:.0f} MB", flush=True)


def largest(folder: Path) -> list[Path]:
    """The photographs of most pixels below a folder."""
    found = sorted(images_in(folder).images, key=lambda path: -pixels_stated(path.read_bytes()))[:GOOD]
    if len(found) < GOOD:
        raise UserError(f"{folder}: {len(found)} photographs, and {GOOD} are needed")
    megapixels = [pixels_stated(path.read_bytes()) / 1e6 for path in found]
    print(f"{len(found)} photographs of {megapixels[-1]:.1f} to {megapixels[0]:.1f} megapixels", flush=True)
    return found


def spoiled(folder: Path, photographs: Path) -> list[Path]:
    """A photograph cut short, a text, nothing at all, and two bombs: of pixels, and of scans."""
    whole = images_in(photographs).images[0].read_bytes()
    contents = {
        "cut-short.jpg": whole[: len(whole) // 3],
        "text.jpg": b"no photograph",
        "empty.jpg": b"",
        "pixels.png": bomb(30_000),
        "scans.jpg": scans(5_000),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def drop(page: Page, files: Sequence[Path]) -> None:
    """Drags files over the page and lets go."""
    dragged = {"items": [], "files": [str(file.resolve()) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=300, y=300, data=dragged)


class Watched:
    """A server whose memory is looked at all the time."""

    def __init__(self, process: int) -> None:
        self._process, self._over = process, threading.Event()
        self.most = 0.0
        """Megabytes, of all its processes together."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def used(self) -> Used:
        """What it has used by now, without processes that have ended."""
        return _used(self._process)

    def stop(self) -> None:
        """Looks no longer."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, self.used().megabytes)


def _used(process: int) -> Used:
    """Of a process and all below it."""
    all_ = [process, *processes.below(process)]
    return Used(sum(map(processes.seconds, all_)), sum(map(processes.megabytes, all_)))


@contextlib.contextmanager
def _visited(folder: Path) -> Iterator[tuple[Page, Watched]]:
    """A browser with the page of a server that has just started."""
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[:1]
            if not address:
                raise UserError("the server did not start")
            server = Watched(process.pid)
            with Page(folder / "profile") as page:
                page.open(address[0])
                yield page, server
            server.stop()
        finally:
            process.terminate()


if __name__ == "__main__":
    errors.run(main)
