import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from splice_jax.training import monitor
from splice_jax.training.monitor import Monitor

SCALARS = {"loss/total": 1.5, "norm/gradient": 0.25}
SCORES = {"validation/mcc_best": 0.5, "validation/f1": 0.25}
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time stands still, unless it is told to go on."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(monitor, "time", clock)
    return clock


def lines(workdir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def events(workdir: Path) -> Iterator[Event]:
    """What TensorBoard reads: length, its checksum, message, its checksum."""
    for path in sorted((workdir / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event()
            event.ParseFromString(data[12 : 12 + length])
            yield event
            data = data[16 + length :]


def test_every_number_becomes_a_line_with_its_step(tmp_path: Path, clock: Clock) -> None:
    with Monitor(tmp_path, start=0, steps=10, batch_size=8) as watching:
        clock.now += 2
        watching.scalars(4, SCALARS)
        assert lines(tmp_path) == [{"step": 4, **SCALARS, "patches_per_second": 16}]  # there at once
        watching.validation(4, SCORES, PICTURE)
    assert lines(tmp_path)[1:] == [{"step": 4, **SCORES}]


def test_speed_is_that_of_training_since_the_last_line_not_of_validation(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Monitor(tmp_path, start=100, steps=160, batch_size=8) as watching:
        clock.now += 2
        watching.scalars(110, SCALARS)
        clock.now += 1000
        watching.validation(110, SCORES, PICTURE)
        clock.now += 10
        watching.scalars(120, SCALARS)
    assert [line["patches_per_second"] for line in lines(tmp_path) if "loss/total" in line] == [40, 8]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "step 110/160: loss 1.5000, 40 patches/s, 0.2 min left"
    assert said[-1] == "step 120/160: loss 1.5000, 8 patches/s, 0.7 min left"


def test_without_a_terminal_there_is_a_line_per_log_and_no_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Monitor(tmp_path, start=0, steps=4, batch_size=8) as watching:
        watching.scalars(2, SCALARS)
        watching.validation(2, SCORES, PICTURE)
        watching.scalars(4, SCALARS)
    said = capsys.readouterr()
    assert said.err == "" and "\r" not in said.out and "█" not in said.out and "%" not in said.out
    first, second, third = said.out.splitlines()
    assert first.startswith("step 2/4: loss 1.5000, ") and third.startswith("step 4/4: ")
    assert second == "step 2: validation mcc_best 0.500, f1 0.250"


def test_in_a_terminal_a_bar_shows_loss_speed_and_time_left(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Monitor(tmp_path, start=10, steps=20, batch_size=8) as watching:
        clock.now += 2
        watching.scalars(15, SCALARS)
        watching.validation(15, SCORES, PICTURE)
    assert capsys.readouterr().out == ""
    said = terminal.getvalue()
    assert "\r" in said and "10/20" in said and "15/20" in said and "loss 1.5000, 20 patches/s" in said
    assert "\nstep 15: validation mcc_best 0.500, f1 0.250\n" in said.replace("\r", "\n")


@pytest.mark.parametrize("cut_off", ["", '{"step": 6, "loss/to', "{}\n", "\n"])
def test_a_resumed_run_drops_what_comes_after_its_checkpoint(tmp_path: Path, cut_off: str) -> None:
    with Monitor(tmp_path, start=0, steps=10, batch_size=8) as watching:
        for step in (2, 4, 5):
            watching.scalars(step, SCALARS)
            watching.validation(step, SCORES, PICTURE)
    before = lines(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(cut_off)
    with Monitor(tmp_path, start=4, steps=10, batch_size=8) as watching:
        assert lines(tmp_path) == before[:4]
        watching.scalars(6, SCALARS)
    assert [line["step"] for line in lines(tmp_path)] == [2, 2, 4, 4, 6]
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_starts_anew_keeps_no_line(tmp_path: Path) -> None:
    for _ in range(2):
        with Monitor(tmp_path, start=0, steps=10, batch_size=8) as watching:
            watching.scalars(1, SCALARS)
    assert len(lines(tmp_path)) == 1


def test_tensorboard_finds_scalars_and_pictures_and_forgets_what_was_repeated(tmp_path: Path) -> None:
    with Monitor(tmp_path, start=4, steps=10, batch_size=8) as watching:
        watching.scalars(6, SCALARS)
        watching.validation(6, SCORES, PICTURE)
    found = list(events(tmp_path))
    # What an earlier start wrote of steps after 4 is purged.
    assert [event.step for event in found if event.session_log.status == event.session_log.START] == [5]
    values = {value.tag: (event.step, value) for event in found for value in event.summary.value}
    for name, number in (SCALARS | SCORES).items():
        step, value = values[name]
        assert (step, value.simple_value) == (6, number)
    assert "patches_per_second" in values
    step, value = values["validation/image_mask_map"]
    assert step == 6
    np.testing.assert_array_equal(Image.open(io.BytesIO(value.image.encoded_image_string)), PICTURE)
