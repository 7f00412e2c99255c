import dataclasses
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import flax.struct
import numpy as np
import pytest

from splice_jax.errors import UserError
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


@pytest.mark.parametrize("name", ["state/_METADATA", "record/metadata"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:20])])
def test_a_damaged_checkpoint_is_named(saved: Path, name: str, damage: Any) -> None:
    damage(saved / "checkpoints" / LAST / "4" / name)
    with pytest.raises(UserError, match="checkpoints/last: .*is damaged") as caught:
        Checkpoints(saved, LAST).restore(tree(0))
    assert "\n" not in str(caught.value)
