"""Ctrl-C, which a terminal sends to a command and to all its workers: one line, 130, and nothing is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from splice_jax.images import encode_png

RNG = np.random.default_rng(0)


def _photographs(folder: Path, number: int, side: int) -> Path:
    folder.mkdir(parents=True)
    pixels = RNG.integers(0, 256, (side, side, 3), np.uint8)
    for each in range(number):
        pixels[0, 0] = each % 256
        (folder / f"{each:03}.png").write_bytes(encode_png(pixels))
    return folder


def _compose(folder: Path) -> list[str]:
    photos = _photographs(folder / "photos", 20, 100)
    return ["compose", str(photos), f"--output={folder / 'out'}", "--count=100000", "--workers=2"]


def _examine(folder: Path) -> list[str]:
    return ["examine", str(_photographs(folder / "photos", 20, 700)), f"--output={folder / 'out'}"]


def _evaluate(folder: Path) -> list[str]:
    _photographs(folder / "set" / "images", 150, 300)
    (folder / "set" / "masks").mkdir()
    mask = encode_png(np.arange(300 * 300).reshape(300, 300) < 20000)
    for path in (folder / "set" / "images").iterdir():
        (folder / "set" / "masks" / path.name).write_bytes(mask)
    data = ["--config.dataset=folder", f"--config.data_dir={folder / 'set'}", "--config.methods=noi1"]
    return ["evaluate", "--config=default", f"--workdir={folder / 'out'}", *data]


def _prepare(folder: Path) -> list[str]:
    spliced = folder / "columbia" / "4cam_splc"
    _photographs(spliced, 1, 200)
    (spliced / "edgemask").mkdir()
    (folder / "columbia" / "4cam_auth").mkdir()
    content = (spliced / "000.png").read_bytes()
    marked = np.zeros((200, 200, 3), np.uint8)
    marked[:90, :, 0] = marked[90:, :, 1] = 200
    (spliced / "000.png").unlink()
    for number in range(150):
        (spliced / f"canong3_nikond70_sub_{number:03}.tif").write_bytes(content)
        (spliced / "edgemask" / f"canong3_nikond70_sub_{number:03}_edgemask.jpg").write_bytes(encode_png(marked))
        (folder / "columbia" / "4cam_auth" / f"canong3_{number:03}_sub_01.tif").write_bytes(content)
    place = f"--manual-dir={folder / 'columbia'}"
    return ["prepare", "columbia", place, f"--data-dir={folder / 'out'}"]


def _group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("arguments", [_compose, _evaluate, _prepare, _examine], ids=lambda made: made.__name__[1:])
def test_ctrl_c_ends_in_one_line_and_leaves_no_child_and_no_file(
    tmp_path: Path, arguments: Callable[[Path], list[str]]
) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", "from splice_jax.cli import main; main()", *arguments(tmp_path)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as work:
        try:
            wait_until(lambda: _at_work(tmp_path) or work.poll() is not None)
            time.sleep(0.2)
            assert work.poll() is None, work.communicate()
            os.killpg(work.pid, signal.SIGINT)
            _, said = work.communicate(timeout=60)
        finally:
            if work.poll() is None:
                os.killpg(work.pid, signal.SIGKILL)
    assert (work.returncode, said.splitlines()[-1:]) == (130, ["interrupted"]), said
    assert "Traceback" not in said and said.count("\n") <= 2  # `preparing ...` may stand before it.
    wait_until(lambda: _group_is_gone(work.pid))
    wait_until(lambda: not _unfinished(tmp_path))


def _unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if "cache/splice_jax/compiled" not in str(path)]


def _at_work(folder: Path) -> bool:
    """Whether something unfinished, or a result, is there."""
    return bool(_unfinished(folder)) or (folder / "out").exists()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
