"""Reports on a run: a progress bar, WORKDIR/metrics.jsonl and TensorBoard files.

A run resumed from a checkpoint first drops whatever was written after that checkpoint, so no step is reported twice.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tensorboardX import SummaryWriter
from tqdm import tqdm

from splice_jax.files import replacing

FILE_NAME = "metrics.jsonl"


class Monitor:
    """Reports on a run from one start to its end or interruption; a context manager."""

    def __init__(self, workdir: Path, *, start: int, steps: int, batch_size: int, unit: str = "patches") -> None:
        """Drops what was written earlier about steps after `start`.

        Args:
            workdir: the run's folder.
            start: the step from which the run continues.
            steps: the last step.
            batch_size: examples per batch.
            unit: what an example is called, in the plural.
        """
        path = workdir / FILE_NAME
        _drop_lines_after(path, start)
        self._lines = open(path, "a", encoding="utf-8")  # noqa: SIM115, closed on exit
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=start + 1)
        self._bar = tqdm(initial=start, total=steps, unit="step", disable=None, dynamic_ncols=True)
        self._unit = unit
        self._steps, self._batch_size, self._clock, self._counted = steps, batch_size, time.perf_counter(), start

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._board.close()
        self._lines.close()

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
        self._board.add_image("validation/image_mask_map", pictures, step, dataformats="HWC")
        words = ", ".join(f"{name.removeprefix('validation/')} {value:.3f}" for name, value in scores.items())
        tqdm.write(f"step {step}: validation {words}", file=sys.stderr if not self._bar.disable else sys.stdout)
        self._clock = time.perf_counter()

    def _write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._lines.write(json.dumps({"step": step, **scalars}) + "\n")
        self._lines.flush()
        for name, value in scalars.items():
            self._board.add_scalar(name, value, step)


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
    with replacing(path) as beside:
        beside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # cut off when the run was killed
        return float("inf")
