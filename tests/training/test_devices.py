"""The same run on 1, 2 and 4 devices."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

FIELDS: dict[str, dict[str, Any]] = {
    "sgn": {},
    "mfcn": {"method": "mfcn", "width": 1 / 16, "crop_size": 64, "batch_size": 4},
    "sgt": {
        "method": "sgt",
        "trace_width": 8,
        "trace_depth": 16,
        "trace_layers": 1,
        "crop_blocks": 16,
        "batch_size": 4,
    },
}


def difference(found: dict[str, np.ndarray], one: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> np.ndarray:
    """Of each variable that training moves, as a share of its way since the start."""
    moved = {name: np.linalg.norm(one[name] - start[name]) for name in one if name != "losses"}
    # Rounding alone moves a bias ahead of BatchNorm.
    return np.array([np.linalg.norm(found[name] - one[name]) / way for name, way in moved.items() if way > 1e-8])


@pytest.mark.parametrize("method", FIELDS)
def test_training_does_not_depend_on_the_number_of_devices(
    tiny: Callable[..., ConfigDict], tmp_path: Path, method: str
) -> None:
    config = tiny(learning_rate=1e-2, **FIELDS[method])
    assert config.augment  # and mfcn and sgt have dropout, sgn and mfcn BatchNorm, and crops of sgt's are padded
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    script = Path(__file__).with_name("on_devices.py")
    command = [sys.executable, str(script), str(tmp_path / "config.json"), str(tmp_path)]
    flags = os.environ["XLA_FLAGS"].replace("device_count=2", "device_count=4")
    done = subprocess.run(command, env=os.environ | {"XLA_FLAGS": flags}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = ("start", "1", "2", "4", "other_key")
    start, one, two, four, other = (dict(np.load(tmp_path / f"{name}.npz")) for name in names)
    assert len(difference(one, one, start)) > 20
    for found in (two, four):
        np.testing.assert_allclose(found["losses"], one["losses"], rtol=1e-5)
        assert difference(found, one, start).max() < 1e-4
    # Other random numbers would have shown, if not in the first loss: mfcn's decoders start undecided about everything.
    assert np.abs(other["losses"] / one["losses"] - 1)[1:].min() > 5e-4
    assert difference(other, one, start).max() > 1
