"""Reports on a run: a progress bar, WORKDIR/metrics.jsonl and TensorBoard files.

A run resumed from a checkpoint first drops whatever was written after that checkpoint, so no step is reported twice.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import time as wall_time
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from splice_jax.errors import UserError, absent, one_line
from splice_jax.files import replacing, writable_folder

# tensorboardX would load it where it is installed, which takes seconds, for what is not used here.
with absent("torch"):
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog

FILE_NAME = "metrics.jsonl"


class Monitor:
    """Reports on a run from one start to its end or interruption; a context manager."""

    def __init__(
        self,
        workdir: Path,
        *,
        start: int,
        steps: int,
        batch_size: int,
        unit: str = "patches",
        validated: bool = True,
    ) -> None:
        """Drops what was written earlier about steps after `start`.

        Args:
            workdir: the run's folder.
            start: the step from which the run continues.
            steps: the last step.
            batch_size: examples per batch.
            unit: what an example is called, in the plural.
            validated: whether the validation of step `start` was completed; if not, it is dropped too.
        """
        path = workdir / FILE_NAME
        _keep_lines(path, start, validated)
        self._lines = open(path, "a", encoding="utf-8")  # noqa: SIM115, closed on exit
        self._board = _Board(workdir / "tensorboard", purge_step=start + 1)
        self._bar = tqdm(initial=start, total=steps, unit="step", disable=None, dynamic_ncols=True)
        self._unit = unit
        self._steps, self._batch_size, self._clock, self._counted = steps, batch_size, time.perf_counter(), start

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        for each in (self._board, self._lines):
            with contextlib.suppress(OSError):  # A full disk has been told of where it mattered.
                each.close()

    def scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes training scalars (means over the steps since the last call) and the speed, `patches_per_second`."""
        now = time.perf_counter()
        speed = (step - self._counted) * self._batch_size / max(now - self._clock, 1e-9)
        left = (self._steps - step) * self._batch_size / max(speed, 1e-9)
        self._write(step, {**scalars, f"{self._unit}_per_second": speed})
        self._clock, self._counted = now, step
        loss = f"loss {scalars['loss/total']:.4f}, {speed:.{0 if speed >= 3 else 1}f} {self._unit}/s"
        self._bar.set_postfix_str(loss, refresh=False)
        self._bar.update(step - self._bar.n)
        if self._bar.disable:
            print(f"step {step}/{self._steps}: {loss}, {left / 60:.1f} min left", flush=True)

    def validation(self, step: int, scores: Mapping[str, float], pictures: UInt8[np.ndarray, "h w 3"]) -> None:
        """Writes scores and a picture of the validation images. The time spent does not count as training time."""
        self._write(step, scores)
        with self._told_full():
            self._board.add(step, summary.image("validation/image_mask_map", pictures, dataformats="HWC"))
        words = ", ".join(f"{name.removeprefix('validation/')} {value:.3f}" for name, value in scores.items())
        tqdm.write(f"step {step}: validation {words}", file=sys.stderr if not self._bar.disable else sys.stdout)
        self._clock = time.perf_counter()

    def _write(self, step: int, scalars: Mapping[str, float]) -> None:
        with self._told_full():
            self._lines.write(json.dumps({"step": step, **scalars}) + "\n")
            self._lines.flush()
            for name, value in scalars.items():
                self._board.add(step, summary.scalar(name, value))
            self._board.flush()

    @contextlib.contextmanager
    def _told_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self._lines.name}: cannot be written ({one_line(error)}); free or mend the disk and repeat the "
                "command, the run goes on after its last checkpoint"
            ) from error


class Silence(Monitor):
    """In the place of a monitor in all processes but the first."""

    def __init__(self) -> None:
        """Opens nothing."""

    def __exit__(self, *_: object) -> None:
        pass

    def scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Says nothing."""

    def validation(self, step: int, scores: Mapping[str, float], pictures: UInt8[np.ndarray, "h w 3"]) -> None:
        """Says nothing."""


class _Board:
    """A TensorBoard file, written in this thread: tensorboardX's own dies of a full disk, and whoever writes waits."""

    def __init__(self, folder: Path, purge_step: int) -> None:
        """Hides what earlier files say about `purge_step` and later ones."""
        self._file = EventsWriter(str(writable_folder(folder) / "events"))
        started = SessionLog(status=SessionLog.START)
        self._file.write_event(Event(step=purge_step, session_log=started, wall_time=wall_time()))

    def add(self, step: int, found: Any) -> None:
        """Adds a summary."""
        self._file.write_event(Event(step=step, summary=found, wall_time=wall_time()))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _keep_lines(path: Path, start: int, validated: bool) -> None:
    """Keeps the lines about steps up to `start`."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= start - (not validated and '"validation/' in line)]
    with replacing(path) as beside:
        beside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # cut off when the run was killed
        return float("inf")
