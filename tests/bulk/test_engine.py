"""A job on processes of this machine: every image exactly once, whatever happens to it, its worker or the job."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from splice_jax.bulk import engine
from splice_jax.bulk.engine import Counts
from splice_jax.bulk.inputs import Shard
from splice_jax.bulk.manifest import gather
from splice_jax.bulk.pool import Pool
from splice_jax.errors import UserError
from tests.bulk.makers import Obey, read

JOB = """
import functools, sys
from pathlib import Path
from typing import Any
from splice_jax import errors
from splice_jax.bulk import engine
from splice_jax.bulk.inputs import in_list
from splice_jax.bulk.pool import Pool
from tests.bulk.makers import Obey

def main():
    hire = functools.partial(Pool, workers=2)
    return 2 if engine.run(in_list(sys.argv[1]), Path(sys.argv[2]), Obey(), hire).failed else 0

if __name__ == "__main__":
    errors.run(main)
"""
OBEY = Obey()
ROOT = Path(__file__).parents[2]


def write(folder: Path, **contents: str) -> list[str]:
    """Files with what is to be done, and their paths."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(content)
    return [str(folder / name) for name in contents]


def job(names: list[str], output: Path, maker: Obey = OBEY, workers: int = 1, **options: object) -> Counts:
    return engine.run(names, output, maker, functools.partial(Pool, workers=workers), **options)  # type: ignore[arg-type]


def no_one(*_: object) -> Pool:
    raise AssertionError("there is nothing left to do")


def left_over(output: Path) -> list[Path]:
    return list(output.rglob(".*"))


def test_every_way_to_end_is_recorded_and_a_second_call_only_tries_what_may_change(tmp_path, capsys):
    words = {"good": "good x", "bad": "bad", "blank": "blank", "die": "die", "once": "die-once", "wrong": "wrong"}
    names = [*write(tmp_path / "in", **words), str(tmp_path / "none"), str(tmp_path / "in")]
    assert job([*names, names[0]], tmp_path / "out") == Counts(2, 5, 1)
    found = gather(tmp_path / "out")
    assert list(map(found.__contains__, names)) == [True] * 8 and len(found) == 8
    said = capsys.readouterr()
    for name, reason in {
        "bad": "broken", "die": "2 workers died of it (signal 9), perhaps for lack of memory",
        "wrong": "a mistake of this program: IndexError: seven (obey, line",
    }.items():  # fmt: skip
        assert found[names[list(words).index(name)]]["reason"].startswith(reason)
        assert f"error: {tmp_path / 'in' / name}: {reason}" in said.err
    assert found[names[0]]["found"]["obey"] == {
        "score": 0.06,
        "cores": 1,
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    stem = tmp_path / "out" / found[names[0]]["stem"]
    assert stem.with_name(stem.name + ".txt").read_text() == "GOOD X"
    assert not left_over(tmp_path / "out")
    assert said.out.startswith("2 done, 5 failed, 1 skipped; ")

    before = (tmp_path / "out" / "manifest.jsonl").read_bytes()
    sure = [name for name in names if found[name]["bytes"] is not None]
    assert engine.run(sure, tmp_path / "out", Obey(), no_one) == Counts(2, 3, 1)
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == before
    assert f"error: {names[1]}: broken" in capsys.readouterr().err
    Path(names[1]).write_text("good after all")
    os.utime(names[0], ns=(5, 5))  # Another time, but the same content.
    assert job(sure, tmp_path / "out") == Counts(3, 2, 1)
    assert len(read(tmp_path / "out" / "manifest.jsonl")) == 9
    assert gather(tmp_path / "out")[names[1]]["stem"] == found[names[1]]["stem"]
    Path(names[5]).write_text("wrong")
    assert job(sure, tmp_path / "out", retry=True) == Counts(3, 2, 1)
    Path(names[0]).unlink()
    assert engine.run(names[:1], tmp_path / "out", Obey(), no_one) == Counts(1, 0, 0)


def test_what_belongs_to_another_job_is_refused(tmp_path):
    names = write(tmp_path / "in", a="good")
    job(names, tmp_path / "out")
    with pytest.raises(UserError, match='holds the results of a job with command "obey", not "other"'):
        engine.run(names, tmp_path / "out", Obey("other"), no_one)
    with pytest.raises(UserError, match="with shards 1, not 2"):
        engine.run(names, tmp_path / "out", Obey(), no_one, shard=Shard(0, 2))
    (tmp_path / "out" / "job.json").write_text("[")
    with pytest.raises(UserError, match="is no description of a bulk job"):
        engine.run(names, tmp_path / "out", Obey(), no_one)


def test_what_concerns_the_whole_job_ends_it_in_one_line(tmp_path):
    names = write(tmp_path / "in", a="full", b="good")
    with pytest.raises(UserError, match="no space left on device"):
        job(names, tmp_path / "full")
    assert all(line["status"] == "done" for line in read(tmp_path / "full" / "manifest.jsonl"))
    with pytest.raises(UserError, match="no such model"):
        job(names, tmp_path / "unable", Obey("unable"))


def test_when_workers_die_of_everything_it_is_not_the_images_fault(tmp_path):
    names = write(tmp_path / "in", **{f"{number}": "die" for number in range(12)})
    with pytest.raises(UserError, match="workers die whatever image they work on"):
        job(names, tmp_path / "out", workers=2)
    assert len(read(tmp_path / "out" / "manifest.jsonl")) < 6
    assert not left_over(tmp_path / "out")


def test_an_image_that_a_worker_hangs_at_fails_at_once_and_the_others_are_done(tmp_path, capsys):
    names = write(tmp_path / "in", first="good", hanging="hang", next="good", last="good")
    hire = functools.partial(Pool, workers=1, seconds=3)
    assert engine.run(names, tmp_path / "out", OBEY, hire) == Counts(3, 1, 0)
    line = gather(tmp_path / "out")[names[1]]
    reason = "was not done after 3 s; give more by --seconds-per-image and --retry-failed"
    assert (line["status"], line["reason"], line["bytes"]) == ("failed", reason, 4)
    assert f"error: {names[1]}: {reason}\n" in capsys.readouterr().err
    assert not left_over(tmp_path / "out")


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def start(tmp_path):
    """Starts the job of 40 slow images and 2 bad ones as a process of its own, with two workers."""
    names = write(tmp_path / "in", **{f"{number:02d}": "bad" if number in (3, 30) else "slow" for number in range(42)})
    (tmp_path / "list").write_text("\n".join(names))
    (tmp_path / "job.py").write_text(JOB)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def begin(lines: int) -> tuple[subprocess.Popen[bytes], list[int]]:
        """The process once its manifest has as many lines, and its children."""
        command = [sys.executable, tmp_path / "job.py", tmp_path / "list", tmp_path / "out"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
        manifest = tmp_path / "out" / "manifest.jsonl"
        while process.poll() is None and not (manifest.exists() and manifest.read_bytes().count(b"\n") >= lines):
            time.sleep(0.02)
        return process, children(process.pid)

    return begin


def gone(processes: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{number}").exists() for number in processes):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_killed_interrupted_and_terminated_it_goes_on_and_every_image_is_there_once(tmp_path, start):
    endings = [
        (signal.SIGKILL, -9, b""),
        (signal.SIGINT, 130, b"interrupted\n"),
        (signal.SIGTERM, 143, b"terminated\n"),
    ]
    for turn, (sent, code, said) in enumerate(endings):
        process, workers = start(6 * (turn + 1))
        assert len(workers) >= 2
        if sent == signal.SIGKILL:
            process.kill()
        else:  # As a terminal and most schedulers do, to the workers as well.
            os.killpg(process.pid, sent)
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == code and errors.endswith(said)
        assert [line for line in errors.splitlines() if not line.startswith(b"error: ")] == said.splitlines()
        assert gone(workers)
    process, workers = start(99)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and gone(workers)
    assert output.startswith(b"40 done, 2 failed, 0 skipped, ")
    lines = read(tmp_path / "out" / "manifest.jsonl")
    assert len(lines) == len({line["image"] for line in lines}) == 42
    assert sorted(Path(line["image"]).name for line in lines if line["status"] == "failed") == ["03", "30"]
    results = sorted(path for path in (tmp_path / "out" / "0000").rglob("*") if path.is_file())
    assert len(results) == 40 and {path.read_text() for path in results} == {"SLOW"}
