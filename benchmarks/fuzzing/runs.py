"""Readers of configurations, checkpoints and weights."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.reader import Reader, is_text
from splice_jax.runs import configuration, schema
from splice_jax.runs.builtin import builtin
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.weights import packaged
from splice_jax.weights.archive import load_variables, save_variables
from splice_jax.weights.calibration import Calibration
from splice_jax.weights.files import read_tensors
from splice_jax.weights.pickled import read_pickled


def _config(folder: Path) -> Mapping[str, bytes]:
    for name in ("default", "sgt"):
        configuration.save_config(builtin(name), folder / name)
    return {f"{name}/config.json": (folder / name / "config.json").read_bytes() for name in ("default", "sgt")}


def _read_config(path: Path) -> None:
    schema.check_config(configuration.load_run_config(path.parent))


def _flags(folder: Path) -> Mapping[str, bytes]:
    config = builtin("default")
    lines = [f"--config.{name}={configuration.field_value(config, name)}" for name in configuration.field_names(config)]
    return {f"flags{number}": "\n".join(lines[number::8]).encode() for number in range(8)}


def _read_flags(path: Path) -> None:
    text = path.read_bytes().decode(errors="surrogateescape")
    overrides = configuration.split_flags(text.split("\n"))[1]
    schema.check_config(configuration.apply_overrides(builtin("default"), overrides))


def _tree() -> dict[str, Any]:
    return {"params": {"kernel": np.arange(60, dtype=np.float32).reshape(20, 3), "bias": np.ones(3, np.float32)}}


def _checkpoint(folder: Path) -> Mapping[str, bytes]:
    Checkpoints(folder, BEST).save(7, _tree(), {"score": 0.5, "seen": [1, 2]})
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _read_checkpoint(path: Path) -> None:
    while path.name != "checkpoints":
        path = path.parent
    Checkpoints(path.parent, BEST, read_only=True).restore(_tree())


def _weights(folder: Path) -> Mapping[str, bytes]:
    from safetensors.numpy import save

    arrays: dict[str, Any] = {"a/kernel": np.ones((3, 4), np.float32), "b": np.arange(5), "c": np.ones(2, np.float16)}
    file, packed = io.BytesIO(), io.BytesIO()
    np.savez(file, **arrays)
    np.savez_compressed(packed, **arrays)
    return {"a.npz": file.getvalue(), "packed.npz": packed.getvalue(), "a.safetensors": save(arrays)}


def _read_weights(path: Path) -> None:
    read_tensors(path)


def _variables(folder: Path) -> Mapping[str, bytes]:
    save_variables(_tree(), folder / "a.npz")
    return {"a.npz": (folder / "a.npz").read_bytes()}


def _read_variables(path: Path) -> None:
    load_variables(path, _tree())


def _is_archive(content: bytes) -> bool:
    return zipfile.is_zipfile(io.BytesIO(content)) or content[8:9] == b"{"


def _pickled(folder: Path) -> Mapping[str, bytes]:
    import torch

    content = {"state_dict": {"a": torch.ones(3, 4), "b": torch.arange(5)}, "epoch": 3, "arch": "sgn"}
    found = {}
    for name, new in (("old.pth", False), ("new.pth", True)):
        torch.save(content, folder / name, _use_new_zipfile_serialization=new)
        found[name] = (folder / name).read_bytes()
    return found


def _read_pickled(path: Path) -> None:
    read_pickled(path)


def _packaged(folder: Path) -> Mapping[str, bytes]:
    calibration = Calibration(0.0, 0.0, 1.0, 0.0, np.arange(4, dtype=np.float32))
    packaged.save_packaged(packaged.Packaged(_tree(), calibration, {"version": "1", "config": {}}), folder / "sgt.npz")
    return {"sgt.npz": (folder / "sgt.npz").read_bytes()}


def _read_packaged(path: Path) -> None:
    """With the checksum of what is there: a damaged file is refused by it, another's own file is not."""
    checksum = path.with_suffix(".sha256")
    checksum.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    before = packaged.FILE, packaged.CHECKSUM
    packaged.FILE, packaged.CHECKSUM = path, checksum
    try:
        packaged.load_packaged()
    finally:
        packaged.FILE, packaged.CHECKSUM = before


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _always(content: bytes) -> bool:
    return True


READERS = {
    "config": Reader(_config, _read_config, _is_json, ("runs.configuration",)),
    "flags": Reader(_flags, _read_flags, is_text, ("runs.configuration",)),
    "checkpoint": Reader(_checkpoint, _read_checkpoint, _always, ("runs.checkpoints",)),
    "weights": Reader(_weights, _read_weights, _is_archive, ("weights.files",)),
    "variables": Reader(_variables, _read_variables, _is_archive, ("weights.archive",)),
    "pickled": Reader(_pickled, _read_pickled, _always, ("weights.pickled",)),
    "packaged": Reader(_packaged, _read_packaged, _is_archive, ("weights.packaged",)),
}
