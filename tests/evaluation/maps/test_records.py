"""What of a folder of maps is taken over by the next evaluation."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.records import Journal, MapRecord, RowRecord, read_record, require
from splice_jax.evaluation.maps.truth import Truth, fingerprint

ROW = "sgn"


def truth(number: int, pixels: str = "") -> Truth:
    return Truth(number, f"image{number}", 2, 3, b"", True, pixels or f"pixels{number}")


TRUTHS = [truth(number) for number in range(4)]


def made_from(truths: list[Truth] = TRUTHS, **fields: Any) -> dict[str, Any]:
    return {"method": ROW, "checkpoint": "abc", "images": fingerprint(truths), "degradation": "none", **fields}


def made(folder: Path, number: int) -> MapRecord:
    """A map, and labels beside every second one."""
    path, labels = cache.map_path(folder, ROW, f"image{number}"), cache.labels_path(folder, ROW, f"image{number}")
    checksum = cache.write_map(path, np.full((2, 3), number, np.uint16))
    if number % 2:
        cache.write_labels(labels, np.ones((1, 1), np.float32))
    return MapRecord(f"image{number}", checksum, 0.5, bool(number % 2), pixels=f"pixels{number}")


def journal(folder: Path, truths: list[Truth] = TRUTHS, **fields: Any) -> Journal:
    return Journal(folder, ROW, made_from(truths, **fields), truths)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A folder in which three of four maps were made."""
    begun = journal(tmp_path)
    for number in range(3):
        begun.enter(made(tmp_path, number))
    return tmp_path


@pytest.fixture
def complete(stopped: Path) -> Path:
    """A folder with all four."""
    last = journal(stopped)
    last.enter(made(stopped, 3))
    last.close((64, "inward"))
    return stopped


def test_what_was_made_before_a_stop_is_taken_over_and_the_row_is_not_complete(stopped: Path) -> None:
    assert list(journal(stopped).entered) == ["image0", "image1", "image2"]
    assert list(journal(stopped).entered) == ["image0", "image1", "image2"]  # after a stop before the first new map
    with pytest.raises(UserError, match="no complete maps of sgn there"):
        read_record(stopped, ROW)


def test_a_complete_row_is_in_the_order_of_the_split_and_leaves_one_record(complete: Path) -> None:
    record = require(complete, ROW, made_from())
    assert [each.image for each in record.maps] == [f"image{number}" for number in range(4)]
    assert record.patches == (64, "inward")
    assert [path.name for path in complete.iterdir() if path.is_file()] == ["sgn.json"]
    assert len(journal(complete).entered) == 4


def cut_last_line(folder: Path) -> None:
    path = folder / "sgn.jsonl"
    path.write_bytes(path.read_bytes()[:-20])


def change_map(folder: Path) -> None:
    cache.map_path(folder, ROW, "image2").write_bytes(cache.map_path(folder, ROW, "image0").read_bytes())


def remove_map(folder: Path) -> None:
    cache.map_path(folder, ROW, "image2").unlink()


def cut_map(folder: Path) -> None:
    path = cache.map_path(folder, ROW, "image2")
    path.write_bytes(path.read_bytes()[:20])


def cut_labels(folder: Path) -> None:
    path = cache.labels_path(folder, ROW, "image1")
    path.write_bytes(path.read_bytes()[:-2])


def empty_labels(folder: Path) -> None:
    cache.labels_path(folder, ROW, "image1").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (cut_last_line, "image2"),
        (change_map, "image2"),
        (remove_map, "image2"),
        (cut_map, "image2"),
        (cut_labels, "image1"),
        (empty_labels, "image1"),
    ],
)
def test_a_map_that_is_damaged_is_made_again_and_no_other(
    stopped: Path, damage: Callable[[Path], None], lost: str
) -> None:
    damage(stopped)
    again = journal(stopped)
    assert {"image0", "image1", "image2"} - set(again.entered) == {lost}
    for number in range(4):
        if f"image{number}" not in again.entered:
            again.enter(made(stopped, number))
    again.close(None)
    assert len(require(stopped, ROW, made_from()).maps) == 4


@pytest.mark.parametrize("folder", ["stopped", "complete"])
def test_of_images_that_changed_only_these_are_stale(folder: str, request: pytest.FixtureRequest) -> None:
    maps = request.getfixturevalue(folder)
    truths = [TRUTHS[0], truth(1, "others"), TRUTHS[2], truth(7)]
    assert set(journal(maps, truths).entered) == {"image0", "image2"}


@pytest.mark.parametrize("folder", ["stopped", "complete"])
@pytest.mark.parametrize("changed", [{"checkpoint": "def"}, {"crf.iterations": 3}, {"degradation": "blur:1"}])
def test_another_checkpoint_crf_or_degradation_makes_all_stale(
    folder: str, changed: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    maps = request.getfixturevalue(folder)
    assert journal(maps, **changed).entered == {}
    assert not list(maps.glob("*.json*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_where_the_disk_is_full_one_line_says_so(tmp_path: Path) -> None:
    begun = journal(tmp_path)
    (tmp_path / "sgn.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"sgn.jsonl: cannot be written \(.*\); free the disk"):
        begun.enter(made(tmp_path, 0))


def test_nothing_is_taken_over_where_all_is_to_be_made_anew(complete: Path) -> None:
    assert Journal(complete, ROW, made_from(), TRUTHS, anew=True).entered == {}


def old_record(folder: Path, **fields: Any) -> None:
    """As earlier versions wrote it: without the pixels of each image, but with fields that change no map."""
    maps = [{k: v for k, v in asdict(made(folder, number)).items() if k != "pixels"} for number in range(4)]
    content = asdict(RowRecord(made_from() | {"config.seed": 0, "config.dataset": "folder"} | fields, None, ()))
    (folder / "sgn.json").write_text(json.dumps(content | {"maps": maps}))


def test_records_of_earlier_versions_are_scored_again_and_taken_over(tmp_path: Path) -> None:
    old_record(tmp_path)
    assert len(require(tmp_path, ROW, made_from()).maps) == 4
    assert len(journal(tmp_path).entered) == 4


def test_of_an_earlier_version_nothing_is_taken_over_where_an_image_changed(tmp_path: Path) -> None:
    old_record(tmp_path)
    assert journal(tmp_path, [*TRUTHS[:3], truth(3, "others")]).entered == {}


def test_a_field_newer_than_the_record_had_its_default_then(tmp_path: Path) -> None:
    old_record(tmp_path)
    assert len(require(tmp_path, ROW, made_from() | {"config.patch_stride": 64}).maps) == 4
    with pytest.raises(UserError, match="made from another config.patch_stride;"):
        require(tmp_path, ROW, made_from() | {"config.patch_stride": 32})


def test_what_several_processes_made_is_put_together_once_each(tmp_path: Path) -> None:
    for number in range(3):  # One of them has but one image, and another is started twice.
        own = TRUTHS[number::3]
        for _ in range(2):
            part = Journal(tmp_path, ROW, made_from(), own, part=f"{number}of3")
            for each in own:
                if each.name not in part.entered:
                    part.enter(made(tmp_path, each.position))
    whole = journal(tmp_path)
    assert set(whole.entered) == {each.name for each in TRUTHS}
    assert [path.name for path in tmp_path.glob("*.jsonl")] == [f"{ROW}.jsonl"]
    whole.close((64, "inward"))
    assert [record.image for record in require(tmp_path, ROW, made_from()).maps] == [each.name for each in TRUTHS]
