import dataclasses
import json
import math
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import flax.struct
import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.runs import checkpoints
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints


class Moments(NamedTuple):
    """As optimizers keep them."""

    count: Any
    mu: Any


@flax.struct.dataclass
class Tree:
    """As the state of training is."""

    params: Any
    moments: Any
    key: Any


def tree(step: int) -> Tree:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3) / 7 + step
    params = {"dense": {"kernel": kernel, "bias": np.full(1, step, np.float32)}}
    key = np.array([step, 2**32 - 1], np.uint32)
    return Tree(params, (Moments(np.asarray(step, np.int32), params), Moments((), {})), key)


def assert_is(found: Tree, expected: Tree) -> None:
    assert isinstance(found, Tree) and isinstance(found.moments[0], Moments)
    np.testing.assert_array_equal(found.params["dense"]["kernel"], expected.params["dense"]["kernel"])
    np.testing.assert_array_equal(found.params["dense"]["bias"], expected.params["dense"]["bias"])
    np.testing.assert_array_equal(found.moments[0].mu["dense"]["bias"], expected.moments[0].mu["dense"]["bias"])
    assert found.moments[0].count == expected.moments[0].count
    assert found.key.tolist() == expected.key.tolist() and found.key.dtype == np.uint32


def steps(workdir: Path, kind: str = LAST) -> list[str]:
    return sorted(path.name for path in (workdir / "checkpoints" / kind).iterdir() if path.name.isdecimal())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A workdir with one checkpoint, of step 4."""
    Checkpoints(tmp_path, LAST).save(4, tree(4), {"data": {"next_index": 4}})
    return tmp_path


def test_what_was_saved_comes_back_bit_for_bit_in_another_process_s_structure(tmp_path: Path) -> None:
    record = {"data": {"next_index": 3}, "best_score": -math.inf, "score": 0.1 + 0.2}
    Checkpoints(tmp_path, LAST).save(3, tree(3), record)
    again = Checkpoints(tmp_path, LAST)
    assert again.step == 3
    found, of_record = again.restore(tree(0))
    assert_is(found, tree(3))
    assert of_record == record


def test_the_newest_of_each_kind_is_kept(tmp_path: Path) -> None:
    last, best = Checkpoints(tmp_path, LAST), Checkpoints(tmp_path, BEST)
    assert last.step is None
    for step in (1, 2, 10):
        last.save(step, tree(step), {})
    best.save(2, tree(2), {})
    assert (last.step, best.step) == (10, 2)
    assert (steps(tmp_path), steps(tmp_path, BEST)) == (["10", "2"], ["2"])
    assert_is(last.restore(tree(0))[0], tree(10))


def test_a_step_that_stands_there_is_left_alone(saved: Path) -> None:
    Checkpoints(saved, LAST).save(4, tree(5), {})
    assert_is(Checkpoints(saved, LAST).restore(tree(0))[0], tree(4))


@pytest.mark.parametrize("rename", [1, 2, 3])
def test_killed_while_it_saves_the_checkpoint_before_or_the_new_one_is_whole(
    saved: Path, monkeypatch: pytest.MonkeyPatch, rename: int
) -> None:
    calls = []
    real = os.rename

    def killed(*names: Any, **options: Any) -> None:
        calls.append(names)
        if len(calls) == rename:
            raise KeyboardInterrupt
        real(*names, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "rename", killed)
        Checkpoints(saved, LAST).save(5, tree(5), {"data": {"next_index": 5}})
    restarted = Checkpoints(saved, LAST)
    assert restarted.step == 4
    found, record = restarted.restore(tree(0))
    assert_is(found, tree(4))
    assert record == {"data": {"next_index": 4}}
    restarted.save(5, tree(5), {"data": {"next_index": 5}})
    assert_is(Checkpoints(saved, LAST).restore(tree(0))[0], tree(5))
    assert steps(saved) == ["4", "5"]


def test_killed_between_saving_and_removing_the_new_one_counts(saved: Path) -> None:
    (saved / "checkpoints" / LAST / "4").rename(saved / "four")
    Checkpoints(saved, LAST).save(5, tree(5), {})
    (saved / "four").rename(saved / "checkpoints" / LAST / "4")
    restarted = Checkpoints(saved, LAST)
    assert_is(restarted.restore(tree(0))[0], tree(5))
    restarted.save(6, tree(6), {})
    assert steps(saved) == ["5", "6"]


def test_where_there_is_none_a_read_only_look_makes_nothing(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, BEST, read_only=True)
    assert checkpoints.step is None
    with pytest.raises(UserError, match=r"checkpoints/best: holds no checkpoint; train the run"):
        checkpoints.restore(tree(0))
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_another_network_are_refused(saved: Path) -> None:
    other_shape = dataclasses.replace(tree(0), params={"dense": {"kernel": np.zeros((2, 4)), "bias": np.zeros(1)}})
    other_names = dataclasses.replace(tree(0), params={"conv": {"kernel": np.zeros((2, 3))}})
    for like in (other_shape, other_names):
        with pytest.raises(UserError, match=r"checkpoints/last: does not fit the run's config.json") as caught:
            Checkpoints(saved, LAST).restore(like)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [[], "x", {}])
def test_notes_of_orbax_s_own_that_say_the_impossible_are_named(saved: Path, value: Any) -> None:
    path = saved / "checkpoints" / LAST / "4" / "_CHECKPOINT_METADATA"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"commit_timestamp_nsecs": value}))
    with pytest.raises(
        UserError, match="checkpoints/last: a checkpoint there is damaged .*; remove the newest"
    ) as caught:
        Checkpoints(saved, LAST)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["state/_METADATA", "record/metadata"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:20])])
def test_a_damaged_checkpoint_is_named(saved: Path, name: str, damage: Any) -> None:
    damage(saved / "checkpoints" / LAST / "4" / name)
    with pytest.raises(UserError, match="checkpoints/last: .*is damaged") as caught:
        Checkpoints(saved, LAST).restore(tree(0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 1, "x", [1.5]])
def test_notes_on_arrays_that_are_of_another_type_are_damage(saved: Path, value: Any) -> None:
    path = saved / "checkpoints" / LAST / "4" / "state" / "_METADATA"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tree_metadata": value}))
    with pytest.raises(UserError, match="checkpoints/last: .*is damaged"):
        Checkpoints(saved, LAST).restore(tree(0))


@pytest.fixture
def two(saved: Path) -> Path:
    """A workdir with checkpoints of the steps 4 and 5."""
    Checkpoints(saved, LAST).save(5, tree(5), {"data": {"next_index": 5}})
    return saved


def flip_a_bit(folder: Path) -> None:
    """In the middle of the largest file, where arrays lie; TensorStore does not notice."""
    path = max(folder.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# Orbax leaves tasks of its own behind where a checkpoint is damaged.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        lambda folder: shutil.rmtree(folder / "state" / "d"),
        lambda folder: (folder / "record" / "metadata").unlink(),
        lambda folder: (folder / "record" / "metadata").write_text('{"data": {"next_index": 6}, "checksum": 1}'),
        lambda folder: (folder / "record" / "metadata").write_text("[1]"),
        lambda folder: list(map(shutil.rmtree, (folder / "state", folder / "record"))),
    ],
)
def test_where_the_newest_is_damaged_the_one_before_it_is_used_and_its_step_comes_again(
    two: Path, damage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = two / "checkpoints" / LAST / "5"
    damage(newest)
    looking = Checkpoints(two, LAST, read_only=True)
    assert_is(looking.restore(tree(0))[0], tree(4))
    assert newest.exists()  # Who only reads removes nothing.
    capsys.readouterr()
    again = Checkpoints(two, LAST)
    assert again.restore(tree(0))[1] == {"data": {"next_index": 4}} and again.step == 4
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith(str(newest))]
    assert "damaged (" in line and line.endswith("; step 4 is used instead")
    again.save(5, tree(5), {})
    assert_is(Checkpoints(two, LAST).restore(tree(0))[0], tree(5))


def test_what_comes_too_late_for_a_damaged_checkpoint_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    checkpoints._ignore_late_answers()
    checkpoints._ignore_late_answers()
    late, other = RuntimeError("Event loop is closed"), RuntimeError("of another kind")
    for error in (late, other):
        sys.unraisablehook(SimpleNamespace(exc_type=RuntimeError, exc_value=error))
    assert [each.exc_value for each in shown] == [other]


def test_a_checkpoint_of_an_earlier_version_has_no_checksum_and_is_read(saved: Path) -> None:
    record = saved / "checkpoints" / LAST / "4" / "record" / "metadata"
    record.write_text('{"data": {"next_index": 4}}')
    assert Checkpoints(saved, LAST).restore(tree(0))[1] == {"data": {"next_index": 4}}


def test_a_full_disk_and_a_folder_that_is_gone_are_one_line(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = Checkpoints(saved, LAST)
    unfinished = saved / "checkpoints" / LAST / "5.orbax-checkpoint-tmp"

    def full(*_: Any, **__: Any) -> None:
        unfinished.mkdir()
        raise ValueError("RESOURCE_EXHAUSTED: Error writing \"a/0.0\": No space left on device [os_error_code='28']")

    with monkeypatch.context() as patch:
        patch.setattr(last._manager, "save", full)
        with pytest.raises(UserError, match=r"the checkpoint of step 5 \(no space left on device\); .*after step 4$"):
            last.save(5, tree(5), {})
    assert not unfinished.exists()
    shutil.rmtree(saved / "checkpoints")
    with pytest.raises(UserError, match="checkpoints/last: was there when the run started; put it back"):
        last.save(5, tree(5), {})
    assert not (saved / "checkpoints").exists()


def test_what_a_killed_process_left_unfinished_is_removed(saved: Path) -> None:
    unfinished = saved / "checkpoints" / LAST / "5.orbax-checkpoint-tmp"
    unfinished.mkdir()
    assert Checkpoints(saved, LAST, read_only=True).step == 4 and unfinished.exists()
    assert Checkpoints(saved, LAST).step == 4
    assert not unfinished.exists()
