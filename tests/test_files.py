"""A file is the old one or the new one."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from splice_jax.errors import UserError
from splice_jax.files import STALE_AFTER, is_unfinished, read_bytes, replacing, sweep


def test_takes_the_place_of_the_old_file_at_the_end(tmp_path):
    path = tmp_path / "map.npz"
    path.write_text("old")
    with replacing(path) as beside:
        assert beside.parent == tmp_path
        assert beside.suffix == ".npz"
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "map.png"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as beside:
        beside.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_makes_missing_folders_and_replaces_by_a_folder(tmp_path):
    path = tmp_path / "a" / "b" / "checkpoint"
    with replacing(path) as beside:
        beside.mkdir()
        (beside / "one").write_text("1")
    assert (path / "one").read_text() == "1"
    with pytest.raises(ZeroDivisionError), replacing(path) as beside:
        beside.mkdir()
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == [path]


def test_a_parent_that_is_a_file_is_the_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"file.deeper: no folder that can be written to"),
        replacing(tmp_path / "file/deeper/map.png"),
    ):
        pytest.fail("there is no such folder to write to")


def test_a_read_only_folder_is_the_users_mistake(tmp_path, monkeypatch):
    # Permissions do not bind root, who runs many a test.
    monkeypatch.setattr("os.access", lambda *_: False)
    with (
        pytest.raises(UserError, match="no folder that can be written to .permission denied"),
        replacing(tmp_path / "map.png"),
    ):
        pytest.fail("the folder is read-only")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="no space left"), replacing(tmp_path / "map.png") as beside:
        beside.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def hold(path: Path, content: str) -> subprocess.Popen[str]:
    """A process that has written half of `path` and does not go on until it is killed."""
    program = (
        "import sys, time\nfrom splice_jax.files import replacing\n"
        "with replacing(sys.argv[1]) as beside:\n"
        "    beside.mkdir()\n    (beside / 'half').write_text(sys.argv[2])\n    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, path, content], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    killed, living = hold(tmp_path / "table", "killed"), hold(tmp_path / "table", "living")
    try:
        end(killed)
        assert len(list(tmp_path.iterdir())) == 4 and all(is_unfinished(path.name) for path in tmp_path.iterdir())
        with replacing(tmp_path / "table") as beside:
            beside.mkdir()
            (beside / "whole").write_text("whole")
        (other,) = (path for path in tmp_path.glob(".*") if path.is_dir())
        assert (other / "half").read_text() == "living"
    finally:
        end(living)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["table", "whole"]


def test_two_calls_of_one_process_do_not_share_a_name(tmp_path):
    path = tmp_path / "map.png"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
        sweep(tmp_path)
        assert (first.read_text(), second.read_text()) == ("first", "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [".table.4711.partial", f".table.{'0' * 16}.partial"])
def test_without_a_lock_unfinished_work_is_swept_after_a_day(tmp_path, name):
    left = tmp_path / name
    left.write_text("half")
    sweep(tmp_path)
    assert left.exists()
    yesterday = time.time() - STALE_AFTER - 60
    os.utime(left, (yesterday, yesterday))
    sweep(tmp_path)
    assert not left.exists()


def test_where_locks_cannot_be_had_files_are_written_and_age_decides(tmp_path, monkeypatch):
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with replacing(tmp_path / "map.png") as beside:
        beside.write_text("half")
        sweep(tmp_path)
        assert beside.read_text() == "half"
        for path in tmp_path.iterdir():
            os.utime(path, (0, 0))
        sweep(tmp_path)
        assert list(tmp_path.iterdir()) == []
        beside.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("name", [".hidden.png", "a.partial", ".git", ".a.12.lock", f"a.{'0' * 16}.partial"])
def test_other_files_are_never_swept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path)
    assert (tmp_path / name).read_text() == "mine" and not is_unfinished(name)


def test_long_names_have_room_for_the_temporary_one(tmp_path):
    path = tmp_path / ("é" * 120 + ".png")
    with replacing(path) as beside:
        beside.write_text("new")
    assert path.read_text() == "new"
    with (
        pytest.raises(UserError, match="file name too long.; shorten it$"),
        replacing(tmp_path / ("é" * 130)) as beside,
    ):
        beside.write_text("new")


def test_a_file_in_a_folder_that_may_not_be_entered_and_an_address_are_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(UserError, match=r": an address, not a path; give /there/a\.png$"):
        read_bytes(Path("file:///there/a.png"))
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("os.lstat", refuse)  # Permissions do not bind root, who runs many a test.
    with pytest.raises(UserError, match=r"a\.png: cannot be opened .permission denied"):
        read_bytes(tmp_path / "a.png")


def test_a_broken_link_and_a_missing_file_are_named(tmp_path):
    link = tmp_path / "a.png"
    link.symlink_to("gone.png")
    with pytest.raises(UserError, match=r"a\.png: a link to gone\.png, which is not there; mend or remove the link"):
        read_bytes(link)
    with pytest.raises(UserError, match=r"b\.png: cannot be opened .no such file"):
        read_bytes(tmp_path / "b.png")
    (tmp_path / "gone.png").write_bytes(b"there")
    assert read_bytes(link) == b"there"
