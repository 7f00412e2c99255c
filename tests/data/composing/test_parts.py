"""A split that is composed in shards is the one that is composed at once."""

import os
from pathlib import Path
from typing import Any

import pytest

from splice_jax.bulk.inputs import Shard
from splice_jax.data.composing.compose import compose_folder
from splice_jax.errors import UserError

JOB: dict[str, Any] = {"count": 7, "seed": 1, "recipe": "rescale"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def no_link(path: Path, target: Path) -> None:
    raise OSError


@pytest.mark.parametrize("links", [True, False])
def test_shards_in_any_order_give_the_same_split(photos, tmp_path, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    compose_folder(photos, tmp_path / "whole", **JOB)
    for number in (2, 0, 0):
        assert compose_folder(photos, tmp_path / "parts", shard=Shard(number, 3), **JOB) == {}
    assert not (tmp_path / "parts" / "train").exists()
    for _ in range(2):  # The second time, there is nothing left to do.
        counts = compose_folder(photos, tmp_path / "parts", shard=Shard(1, 3), **JOB)
        assert counts == {"train": 5, "val": 1, "test": 1}
    for split in counts:
        assert contents(tmp_path / "parts" / split) == contents(tmp_path / "whole" / split)
        assert [path.name for path in (tmp_path / "parts" / f"{split}.parts").iterdir()] == ["job.json"]


def test_shards_of_different_jobs_are_not_joined(photos, tmp_path):
    compose_folder(photos, tmp_path, shard=Shard(0, 2), split="test", **JOB)
    for other in (JOB | {"seed": 2}, JOB | {"recipe": "histories"}, JOB | {"count": 8}):
        with pytest.raises(UserError, match="holds the results of a job with"):
            compose_folder(photos, tmp_path, shard=Shard(1, 2), split="test", **other)
    with pytest.raises(UserError, match="with shards 2, not 3"):
        compose_folder(photos, tmp_path, shard=Shard(1, 3), split="test", **JOB)
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="was not composed in shards"):
        compose_folder(photos, tmp_path, shard=Shard(1, 2), split="train", **JOB)
