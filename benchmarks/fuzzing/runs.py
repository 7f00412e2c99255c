"""Readers of configurations, checkpoints and weights."""

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.reader import Reader, is_json
from splice_jax.errors import UserError
from splice_jax.runs import configuration, schema
from splice_jax.runs.builtin import builtin
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints
from splice_jax.weights import packaged
from splice_jax.weights.archive import load_variables, save_variables
from splice_jax.weights.calibration import Calibration
from splice_jax.weights.files import read_tensors
from splice_jax.weights.pickled import read_pickled


def _config(folder: Path) -> Mapping[str, bytes]:
    for name in ("default", "sgt"):
        configuration.save_config(builtin(name), folder / name)
    found = {f"{name}/config.json": (folder / name / "config.json").read_bytes() for name in ("default", "sgt")}
    return {**found, **_flags()}


def _read_config(path: Path) -> None:
    if path.name != configuration.FILE_NAME:
        _read_flags(path)
        return
    schema.check_config(configuration.load_run_config(path.parent))


def _flags() -> Mapping[str, bytes]:
    config = builtin("default")
    lines = [f"--config.{name}={configuration.field_value(config, name)}" for name in configuration.field_names(config)]
    found = {f"flags{number}": "\n".join(lines[number::8]).encode() for number in range(8)}
    return found | {"named": b"--config=sgt\n--config.crf.iterations\n3\n--config.rescore\n--other"}


def _read_flags(path: Path) -> None:
    text = path.read_bytes().decode(errors="surrogateescape")
    name, overrides, _ = configuration.split_flags(text.split("\n"))
    config = configuration.read_config(name or "default") if not (name or "").endswith(".py") else builtin("default")
    schema.check_config(configuration.apply_overrides(config, overrides))
    as_typed = [f"--config.{field}" + ("" if value is None else f"={value}") for field, value in overrides]
    configuration.apply_overrides(config, as_typed)
    with contextlib.suppress(UserError):  # Most fields belong to training, and no evaluation may change them.
        configuration.evaluation_config(path.parent / "default", overrides)


def _tree() -> dict[str, Any]:
    return {"params": {"kernel": np.arange(60, dtype=np.float32).reshape(20, 3), "bias": np.ones(3, np.float32)}}


def _checkpoint(folder: Path) -> Mapping[str, bytes]:
    for kind, steps in ((BEST, (7,)), (LAST, (3, 7))):
        checkpoints = Checkpoints(folder, kind)
        for step in steps:
            checkpoints.save(step, _tree(), {"score": 0.5, "seen": [1, 2]})
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _read_checkpoint(path: Path) -> None:
    kind = ""
    while path.name != "checkpoints":
        kind, path = path.name, path.parent
    with contextlib.redirect_stderr(io.StringIO()):  # Of two, a damaged one is named there, and the other is read.
        Checkpoints(path.parent, kind, read_only=True).restore(_tree())


def _weights(folder: Path) -> Mapping[str, bytes]:
    from safetensors.numpy import save

    arrays: dict[str, Any] = {"a/kernel": np.ones((3, 4), np.float32), "b": np.arange(5), "c": np.ones(2, np.float16)}
    file, packed = io.BytesIO(), io.BytesIO()
    np.savez(file, **arrays)
    np.savez_compressed(packed, **arrays)
    found = {"a.npz": file.getvalue(), "packed.npz": packed.getvalue(), "a.safetensors": save(arrays)}
    found[f"a-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.npz"] = file.getvalue()
    with contextlib.suppress(ImportError):
        found["a.pth"] = _of_torch({"a": (3, 4), "b": (5,)})
    return found


def _of_torch(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save({name: torch.ones(shape) for name, shape in shapes.items()}, file)
    return file.getvalue()


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
    return {name: (folder / name).read_bytes() for name in ("sgt.npz", "sgt.sha256")}


def _read_packaged(path: Path) -> None:
    """With the checksum of what is there: a damaged file is refused by it, another's own file is not."""
    path, checksum = path.with_suffix(".npz"), path
    if path == checksum:
        checksum = path.with_suffix(".of_mutant")
        checksum.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    before = packaged.FILE, packaged.CHECKSUM
    packaged.FILE, packaged.CHECKSUM = path, checksum
    try:
        packaged.load_packaged()
    finally:
        packaged.FILE, packaged.CHECKSUM = before


def _always(content: bytes) -> bool:
    return True


READERS = {
    "config": Reader(
        _config, _read_config, lambda content: is_json(content) or content.startswith(b"--"), ("runs.configuration",)
    ),
    "checkpoint": Reader(_checkpoint, _read_checkpoint, _always, ("runs.checkpoints",)),
    "weights": Reader(_weights, _read_weights, _is_archive, ("weights.files",)),
    "variables": Reader(_variables, _read_variables, _is_archive, ("weights.archive",)),
    "pickled": Reader(_pickled, _read_pickled, _always, ("weights.pickled",)),
    "packaged": Reader(_packaged, _read_packaged, _is_archive, ("weights.packaged",)),
}
