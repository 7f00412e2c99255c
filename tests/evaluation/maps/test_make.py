"""Maps are made once, by whatever processes, and what goes wrong is named."""

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.errors import UserError
from splice_jax.evaluation.maps import make
from splice_jax.evaluation.maps.cache import map_path, read_map
from splice_jax.evaluation.maps.degradations import Degradation
from splice_jax.evaluation.maps.make import ByName, Row, Stage, make_maps
from splice_jax.evaluation.maps.records import read_record
from splice_jax.evaluation.maps.truth import read_truths
from splice_jax.methods import Found, Localizer
from splice_jax.workers import executor


class Counting(Localizer):
    """Bright is spliced."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.name, self.failing, self.images = "sgn", failing, 0

    def __call__(self, image: np.ndarray) -> Found:
        self.images += 1
        if self.failing and self.images == 2:
            raise self.failing
        probability = (image.mean(axis=-1) / 255).astype(np.float32)
        return Found(probability, probability >= 0.5)


def example(number: int) -> Example:
    image = np.random.default_rng(number).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    return Example(image, np.pad(np.ones((20, 20), bool), ((0, 28), (0, 44))), f"image{number}", False)


def stage(folder: Path, degradation: Degradation | None = None) -> Stage:
    examples = [example(number) for number in range(3)]
    return Stage("", examples, read_truths(examples), folder, degradation)


def made(rows: list[Row], where: Stage, workers: Executor | None = None, **made_from: Any) -> None:
    parameters = CrfParameters(iterations=made_from.get("iterations", 2))
    provenance = {row.name: {"method": row.localizer.name, **made_from} for row in rows}
    make_maps(rows, where, provenance, parameters=parameters, workers=workers or executor(0))


def test_every_process_makes_the_same_maps(tmp_path: Path) -> None:
    rows = [Row(ByName(name)) for name in ("noi1", "ela", "cfa1", "adq1", "adq2")]
    made(rows, stage(tmp_path / "here"))
    with executor(2) as workers:
        made(rows, stage(tmp_path / "there"), workers)
    for row in rows:
        here, there = (read_record(tmp_path / folder, row.name).maps for folder in ("here", "there"))
        assert [(each.image, each.sha256, each.undefined) for each in here] == [
            (each.image, each.sha256, each.undefined) for each in there
        ]
    assert {bool(each.undefined) for each in read_record(tmp_path / "there", "adq2").maps} == {True}
    assert make._own(ByName("noi1")) is make._own(ByName("noi1"))


def test_the_localizer_does_not_run_where_only_a_crf_row_is_stale(tmp_path: Path) -> None:
    own = Counting()
    made([Row(own)], stage(tmp_path))
    assert own.images == 3
    rows = [Row(own), Row(own, "jax")]
    made(rows, stage(tmp_path))
    assert own.images == 3
    made(rows, stage(tmp_path / "together"))
    for number in range(3):
        apart, together = (
            read_map(map_path(folder, "sgn+crf", f"image{number}")) for folder in (tmp_path, tmp_path / "together")
        )
        np.testing.assert_array_equal(apart, together)


def test_a_crf_of_this_process_runs_in_no_other_and_processes_change_nothing(tmp_path: Path) -> None:
    rows = [Row(ByName("noi1")), Row(ByName("noi1"), "jax")]
    made(rows, stage(tmp_path / "here"))
    with executor(1) as workers:
        made(rows, stage(tmp_path / "there"), workers)
        assert not workers.submit(eval, "'jax' in __import__('sys').modules").result()
    for row in rows:
        here, there = (read_record(tmp_path / folder, row.name).maps for folder in ("here", "there"))
        assert [each.sha256 for each in here] == [each.sha256 for each in there]
    assert rows[1].name == "noi1+crf"


def test_a_map_of_another_size_than_the_image_is_no_start_for_a_crf(tmp_path: Path) -> None:
    own = Counting()
    made([Row(own)], stage(tmp_path, Degradation("resize", 0.5)))
    made([Row(own), Row(own, "jax")], stage(tmp_path, Degradation("resize", 0.5)))
    assert own.images == 6


@pytest.mark.parametrize(
    "failing", [MemoryError("Unable to allocate 9 GiB"), RuntimeError("RESOURCE_EXHAUSTED: Out of\nmemory")]
)
def test_where_memory_runs_out_image_and_row_are_named_and_the_rest_is_kept(tmp_path: Path, failing: Exception) -> None:
    with pytest.raises(
        UserError, match="^image1: row sgn ran out of memory .*the maps made so far are kept$"
    ) as caught:
        made([Row(Counting(failing))], stage(tmp_path))
    assert "\n" not in str(caught.value)
    own = Counting()
    made([Row(own)], stage(tmp_path))
    assert own.images == 2


def test_another_runtime_error_is_not_taken_for_want_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        made([Row(Counting(RuntimeError("a bug")))], stage(tmp_path))
