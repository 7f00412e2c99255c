"""The short version of `python -m benchmarks.kills`; between writes, test_train.py kills the command itself."""

from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from benchmarks import kills


def test_a_run_killed_inside_a_write_ends_as_the_one_that_was_not(
    tiny: Callable[..., ConfigDict], tmp_path: Path
) -> None:
    config = tiny(num_steps=8, checkpoint_every=2, validate_every=8, validation_images=1, cpu_devices=2)
    found = kills.run(config, tmp_path, kills=1, in_writes=1)
    assert (found.killed, found.identical) == (1, True)
