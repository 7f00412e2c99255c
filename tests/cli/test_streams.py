"""Names, pipes, signals and homes, with the command in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from splice_jax.images import encode_png

PICTURE = encode_png(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
COMMAND = [sys.executable, "-c", "from splice_jax.cli import main; main()"]


def localize(
    *arguments: str | Path | bytes, cwd: Path, env: dict[str, str] | None = None, **options
) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, "localize", "--method=all_spliced", "--output=out", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | (env or {})
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, timeout=60, **options)


NAMES = [
    b"caf\xe9.jpg", b"a\nb.jpg", b"\x1b[31mred.jpg", b"..jpg", b"-x.jpg", b"a.jpg", b"a.jpeg", "größe.jpg".encode(),
]  # fmt: skip


@pytest.mark.parametrize("env", [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"}])
def test_names_of_any_kind_are_localized_and_shown_on_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    os.mkdir(tmp_path / "in")
    for name in NAMES:
        with open(os.path.join(os.fsencode(tmp_path / "in"), name), "wb") as file:
            file.write(PICTURE)
    with open(os.path.join(os.fsencode(tmp_path / "in"), b"bro\xffken\x1b.jpg"), "wb") as file:
        file.write(PICTURE[:50])
    done = localize("in", "in/..jpg", cwd=tmp_path, env=env)  # In a folder, it is a hidden file.
    assert done.returncode == 2
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(NAMES) and all(line.endswith(" s") for line in lines)
    assert rb"in/caf\xe9.jpg" in done.stdout and rb"in/a\nb.jpg" in done.stdout
    error, last = done.stderr.decode().splitlines()
    assert error.startswith(r"error: in/bro\xffken\x1b.jpg: broken or truncated")
    assert last == "1 of 9 images failed"
    written = {name for name in os.listdir(os.fsencode(tmp_path / "out")) if name.endswith(b".mask.png")}
    short = {name if name in (b"a.jpg", b"a.jpeg", b"..jpg") else name.rsplit(b".", 1)[0] for name in NAMES}
    assert written == {name + b".mask.png" for name in short}
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_a_name_that_begins_with_a_hyphen_is_hinted_at(tmp_path: Path) -> None:
    (tmp_path / "-x.jpg").write_bytes(PICTURE)
    done = localize("-x.jpg", cwd=tmp_path)
    assert done.returncode == 2 and b"-x.jpg is a file: write ./-x.jpg, or -- before it" in done.stderr
    assert localize("--", "-x.jpg", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_stdin_is_read(tmp_path: Path, name: str) -> None:
    done = localize(name, cwd=tmp_path, input=PICTURE)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "stdin.mask.png").exists()


def test_an_address_has_to_be_fetched_first(tmp_path: Path) -> None:
    done = localize("https://example.org/a.jpg", cwd=tmp_path)
    assert done.returncode == 2
    said = b"an address, not a file; fetch https://example.org/a.jpg first and give the file\n"
    assert done.stderr == b"error: https:/example.org/a.jpg: " + said


def test_the_work_goes_on_when_nobody_reads_any_more(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(20):
        (tmp_path / "in" / f"{number}.png").write_bytes(PICTURE)
    command = " ".join(f"'{part}'" for part in COMMAND) + " localize --method=all_spliced --output=out in"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    piped = ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(piped, cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1
    assert len(list((tmp_path / "out").glob("*.mask.png"))) == 20


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (
            ">/dev/full",
            2,
            b"error: standard output cannot be written to (no space left on device); lead it elsewhere\n",
        ),
        (">&-", 0, b""),
        ("2>&-", 0, b""),
    ],
)
def test_a_full_or_closed_output_is_no_traceback(tmp_path: Path, redirection: str, code: int, said: bytes) -> None:
    program = "import sys; from splice_jax.errors import run; run(lambda: print('x', sys.stderr.isatty()))"
    command = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, program]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize(
    ("sent", "code", "said"), [(signal.SIGINT, 130, b"interrupted\n"), (signal.SIGTERM, 143, b"terminated\n")]
)
def test_a_signal_ends_in_one_line_and_leaves_nothing_unfinished(
    tmp_path: Path, sent: signal.Signals, code: int, said: bytes
) -> None:
    (tmp_path / "in").mkdir()
    large = encode_png(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8))
    for number in range(50):
        (tmp_path / "in" / f"{number}.png").write_bytes(large)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [*COMMAND, "localize", "--method=all_spliced", "--output=out", "in"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as at_work:
        assert at_work.stdout is not None
        at_work.stdout.readline()
        time.sleep(0.05)
        at_work.send_signal(sent)
        _, errors = at_work.communicate(timeout=60)
    assert (at_work.returncode, errors) == (code, said)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
