"""The manifest survives whatever stops its process, and believes nothing it should not."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from splice_jax.bulk.inputs import Shard, stem_of
from splice_jax.bulk.manifest import Manifest, file_name, gather
from splice_jax.bulk.tasks import DONE, FAILED, Answer, Task
from splice_jax.errors import UserError
from tests.bulk.makers import read

GOOD = Answer(DONE, "", "00ff", 3, 7, {"sgt": {"score": 0.1}})
NAMES = ["/a.jpg", "/caf\udce9\n.jpg", "/größe.jpg"]


def task(image: str, position: int = 0) -> Task:
    return Task(image, stem_of(position, image))


def written(path: Path, *images: str, answer: Answer = GOOD) -> None:
    manifest = Manifest(path)
    for image in images:
        manifest.add(task(image), answer)
    manifest.close()


def test_what_is_added_is_known_to_the_next_and_on_one_line_each(tmp_path):
    path = tmp_path / "new" / "manifest.jsonl"
    written(path, *NAMES)
    assert [line["image"] for line in read(path)] == NAMES
    assert path.read_bytes().isascii() and path.read_bytes().count(b"\n") == 3
    manifest = Manifest(path)
    for image in NAMES:
        known = manifest.known(image)
        assert known is not None and known == (task(image).stem, DONE, "", "00ff", 3, 7)
    assert manifest.known("/b.jpg") is None
    manifest.close()


def test_a_line_is_only_added_where_something_changed(tmp_path):
    path = tmp_path / "manifest.jsonl"
    for answer in (
        Answer(FAILED, "gone"),
        Answer(FAILED, "gone"),
        Answer(DONE, "", "00"),
        Answer(DONE, "", "00", seconds=9),
    ):
        written(path, "/a.jpg", answer=answer)
    assert [line["status"] for line in read(path)] == [FAILED, DONE]
    assert gather(tmp_path)["/a.jpg"]["status"] == DONE


@pytest.mark.parametrize("left", [1, 20, -1])
def test_half_a_line_is_taken_away(tmp_path, left):
    path = tmp_path / "manifest.jsonl"
    written(path, *NAMES)
    whole = path.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    path.write_bytes(whole[: begin + left] if left > 0 else whole[:left])
    manifest = Manifest(path)
    assert manifest.known(NAMES[1]) and manifest.known(NAMES[2]) is None
    assert path.read_bytes() == whole[:begin]
    manifest.add(task(NAMES[2]), Answer(DONE))
    manifest.close()
    assert len(read(path)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"stem": "../../etc/passwd"}, {"stem": "0000/000/../x-0123456789abcdef"}, {"status": "unchanged"}, {"image": 3},
        {"reason": "\udcff"}, {"bytes": 2**70}, {"mtime_ns": True}, {"sha256": None}, {"image": "\ud800"},
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_ours_is_passed_over(tmp_path, capsys, change):
    path = tmp_path / "manifest.jsonl"
    written(path, *NAMES[:2])
    lines = read(path)
    path.write_text("".join(json.dumps(line) + "\n" for line in (lines[0], lines[1] | change)))
    manifest = Manifest(path)
    assert manifest.known(NAMES[0]) and manifest.known(NAMES[1]) is None
    manifest.close()
    assert "line 2 is damaged" in capsys.readouterr().err


def test_what_is_no_manifest_is_left_alone(tmp_path):
    path = tmp_path / "manifest.jsonl"
    for content in (b"my own notes\n", b"x" * 2_000_000 + b"\n", b"[" * 100_000 + b"\n", b"[]\n"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"manifest\.jsonl"):
            Manifest(path)
        assert path.read_bytes() == content
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="cannot be written to"):
        Manifest(path)


def test_a_second_job_is_refused_and_a_killed_one_is_not_in_the_way(tmp_path):
    path = tmp_path / "manifest.jsonl"
    code = "import sys, time; from pathlib import Path; from splice_jax.bulk.manifest import Manifest\n"
    code += "m = Manifest(Path(sys.argv[1])); print('open', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, env=environment()) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(UserError, match="another job writes it"):
            Manifest(path)
        other.kill()
    Manifest(path).close()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.add(task("/a"), Answer(DONE))
    before, write = path.read_bytes(), os.write

    def half(file: int, content: bytes) -> int:
        return write(file, content[: len(content) // 2])

    def full(file: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for failing in (half, full):
        monkeypatch.setattr(os, "write", failing)
        with pytest.raises(UserError, match="no space left on device"):
            manifest.add(task("/b"), Answer(DONE))
        assert path.read_bytes() == before
    monkeypatch.setattr(os, "write", write)
    path.unlink()
    with pytest.raises(UserError, match="was removed while the job ran"):
        manifest.add(task("/b"), Answer(DONE))
    manifest.close()


def test_images_are_met_once(tmp_path):
    manifest = Manifest(tmp_path / "manifest.jsonl")
    assert [manifest.meet(image) for image in ("/a", "/b", "/a")] == [True, True, False]
    manifest.close()


def test_shards_write_files_of_their_own_that_are_gathered(tmp_path):
    for index in range(3):
        written(tmp_path / file_name(Shard(index, 3)), f"/{index}.jpg")
    assert len(list(tmp_path.iterdir())) == 3
    assert sorted(gather(tmp_path)) == ["/0.jpg", "/1.jpg", "/2.jpg"]
