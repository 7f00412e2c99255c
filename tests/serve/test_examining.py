"""The worker's process behind the page: damaged files, bombs, and examinations that end it."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.serve.costs import refuse_costly
from splice_jax.serve.limits import Limits
from splice_jax.serve.worker import Worker
from tests.examination.samples import bomb, jpeg, scans, scene, segment
from tests.serve.visitor import FATAL, MISTAKEN, SLOW, Visitor, no_rows, visited

ROOT = Path(__file__).parents[2]
LIMITS = Limits(megapixels=1)


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    """A visitor of a page that takes up to one megapixel and five seconds."""
    with visited(megapixels=1, seconds=5) as visitor:
        yield visitor


def png(image: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "PNG")
    return encoded.getvalue()


def special(level: int) -> bytes:
    """A photograph that the rows misbehave on."""
    image = scene(40, 60)
    image[0, 0] = level, 0, 0
    return png(image)


def test_twenty_at_once_five_of_them_damaged_or_bombs(visitor: Visitor) -> None:
    good = [jpeg(scene(40, 60, seed)) for seed in range(15)]
    bad = {
        jpeg(scene())[:2000]: "broken or truncated",
        b"no photograph": "not an image but a text",
        b"": "an empty file",
        bomb(30_000): "megapixels",
        scans(101): "a JPEG of 101 scans, and this page takes up to 100; save it anew",
    }
    with ThreadPoolExecutor(20) as threads:
        ids = list(threads.map(visitor.hand_in, [*good, *bad]))
    told = [visitor.finished(id) for id in ids]
    assert [each["state"] for each in told] == ["done"] * 15 + ["failed"] * 5
    for each, reason in zip(told[15:], bad.values(), strict=True):
        assert reason in each["reason"] and "photo.jpg" not in each["reason"]
    documents = [json.loads(visitor.get(f"/photographs/{id}.json").body) for id in ids[:15]]
    assert len({each["file"]["sha256"] for each in documents}) == 15
    assert all([row["row"] for row in each["rows"]] == ["one", "two"] for each in documents)


def test_what_ends_one_examination_leaves_the_others(visitor: Visitor) -> None:
    names = ["good", "fatal", "good", "slow", "mistaken", "good"]
    files = [special(level) for level in (0, FATAL, 0, SLOW, MISTAKEN, 0)]
    told = [visitor.finished(visitor.hand_in(file, name)) for file, name in zip(files, names, strict=True)]
    assert [each["state"] for each in told] == ["done", "failed", "done", "failed", "failed", "done"]
    assert "most likely because memory ran out" in told[1]["reason"]
    assert told[3]["reason"] == "not examined within 5 seconds; try a smaller photograph"
    assert told[4]["reason"] == "a mistake of this program ended the examination (ZeroDivisionError)"


def test_a_name_is_escaped_on_the_page_of_the_examination(visitor: Visitor) -> None:
    id = visitor.hand_in(jpeg(scene(40, 60)), "<img src=x onerror=alert(1)>/../../x.jpg")
    visitor.finished(id)
    page = visitor.get(f"/photographs/{id}.html").text
    assert "<img src=x" not in page and "&lt;img src=x onerror=alert(1)&gt;/../../x.jpg" in page


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (png(np.zeros((1001, 1000), np.uint8)), "1.0 megapixels, and this page takes up to 1; scale it down"),
        (bomb(2000), "4.0 megapixels, and this page takes up to 1"),
        (scans(101), "101 scans"),
        (b"\xff\xd8" + segment(0xFE, b"") * 2000 + scans(2000)[2:], "2,000 scans"),
        (b"\xff\xd8\x00" + scans(300)[2:], "300 scans"),
    ],
)
def test_what_costs_too_much_is_refused_before_it_is_decoded(encoded: bytes, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        refuse_costly(encoded, LIMITS)


@pytest.mark.parametrize("encoded", [png(np.zeros((1000, 1000), np.uint8)), scans(100), b"", jpeg(scene())])
def test_what_is_within_the_limits_is_not(encoded: bytes) -> None:
    refuse_costly(encoded, LIMITS)


def test_rows_that_cannot_be_loaded_are_told_before_anything_is_served() -> None:
    worker = Worker(no_rows, LIMITS)
    with pytest.raises(UserError, match="there is no such run"):
        worker.start()
    worker.stop()
    with pytest.raises(UserError):
        worker.examine("photo", b"", print)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "from tests.serve.loading import rows\nfrom splice_jax.serve.limits import Limits\n"
        "from splice_jax.serve.server import serve\n"
        "serve(rows, host='', port=0, keep=None, limits=Limits())"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:") and line.endswith("/ (Ctrl-C stops it)\n"), process.stderr.read()
        server = type("Running", (), {"address": line.split()[0]})
        visitor = Visitor(server)  # type: ignore[arg-type]
        visitor.finished(visitor.hand_in(jpeg(scene(40, 60))))
        slow = visitor.hand_in(special(SLOW))
        assert visitor.progress(slow)["state"] in ("waiting", "looking")
        process.send_signal(number)
        said = process.communicate(timeout=30)
    assert process.returncode == (-9 if number is signal.SIGKILL else 0)
    assert said == ("", "")
    assert list(tmp_path.iterdir()) == []
