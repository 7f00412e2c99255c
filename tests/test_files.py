"""A file is the old one or the new one."""

import errno

import pytest

from splice_jax.errors import UserError
from splice_jax.files import replacing


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
