"""Users without a home or a name, homes that cannot be written, a locale of C: commands work, or say what to set."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from splice_jax.images import encode_png

ROOT = Path(__file__).parents[2]
NAMELESS = "import os; os.getuid = lambda: 12345"
"""As in `docker run -u 12345`: the system knows no such user, so no home either."""
SAYS_WHAT_TO_SET = "error: HOME: is not set, and this user has none; set HOME or XDG_CACHE_HOME to a folder\n"
SMALL = ["--config.hidden_size=64", "--config.num_layers=1", "--config.global_network=none"]
NEEDS_A_CACHE = {"verify", "prepare", "evaluate", "train"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("größe")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / "set" / name).mkdir(parents=True)
    for number in range(6):
        pixels = rng.integers(0, 256, (100, 90, 3), np.uint8)
        (folder / "set" / "images" / f"bild ä{number}.png").write_bytes(encode_png(pixels))
        (folder / "set" / "masks" / f"bild ä{number}.png").write_bytes(encode_png(np.indices((100, 90))[0] > 60))
    return folder


def arguments(command: str, data: Path, output: Path) -> list[str]:
    images, dataset = data / "set/images", ["--config.dataset=folder", f"--config.data_dir={data / 'set'}"]
    options = {
        "localize": ["--method=noi1", f"--output={output}", str(images)],
        "examine": [f"--output={output}", str(images / "bild ä0.png")],
        "compose": [str(images), f"--output={output}", "--count=2", "--workers=1", "--split=train"],
        "verify": ["folder", f"--data-dir={data / 'set'}"],
        "prepare": ["columbia", f"--manual-dir={data / 'set'}"],
        "evaluate": ["--config=default", f"--workdir={output}", *dataset, "--config.methods=noi1"],
        "train": [f"--workdir={output}", *dataset, *SMALL],
        "serve": ["--help"],
    }
    return [command, *options[command]]


def run(
    command: str, data: Path, output: Path, env: dict[str, str], prelude: str = ""
) -> subprocess.CompletedProcess[str]:
    ours = {
        name: text for name, text in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "USER", "LOGNAME")
    }
    program = f"{prelude}\nfrom splice_jax.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments(command, data, output)],
        env=ours | {"PYTHONPATH": str(ROOT)} | env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
    )


@pytest.mark.parametrize("command", ["localize", "compose", "verify", "prepare", "evaluate", "train", "serve"])
def test_a_user_without_a_name_or_a_home_is_told_what_to_set_where_it_is_needed(
    command: str, data: Path, tmp_path: Path
) -> None:
    done = run(command, data, tmp_path / "out", {}, NAMELESS)
    wanted = (2, SAYS_WHAT_TO_SET) if command in NEEDS_A_CACHE else (0, "")
    assert (done.returncode, done.stderr) == wanted


@pytest.mark.parametrize("command", ["localize", "evaluate"])
def test_a_home_that_cannot_be_written_is_named_where_it_is_needed(command: str, data: Path, tmp_path: Path) -> None:
    done = run(command, data, tmp_path / "out", {"HOME": "/dev/null"})
    if command in NEEDS_A_CACHE:
        assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: /dev/null/.cache/splice_jax")
        assert "choose another" in done.stderr and "Traceback" not in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["localize", "compose", "evaluate"])
def test_a_locale_of_c_changes_nothing(command: str, data: Path, tmp_path: Path) -> None:
    """Without Python's own remedy, names are no text there."""
    done = run(command, data, tmp_path / "out", {"LC_ALL": "C", "HOME": str(tmp_path), "PYTHONUTF8": "0"})
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
