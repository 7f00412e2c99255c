"""Reads named tensors from `.pth`, `.safetensors` and `.npz` files, without ever unpickling objects."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp  # gives NumPy its bfloat16
import numpy as np

from splice_jax.errors import UserError, one_line, printable
from splice_jax.weights.pickled import import_torch, read_pickled

_HASH = re.compile(r"-([0-9a-f]{8,64})\.[^.]+$")


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors in a file, with its names and precision, except that bfloat16 becomes float32.

    Raises:
        UserError: there is no such file, its SHA-256 does not match its name, or it holds more than tensors.
    """
    verify_hash(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: its suffix is none of {', '.join(_READERS)}")
    try:
        return reader(path)
    except UserError:
        raise
    except Exception as error:  # each format's parser has its own
        reason = printable(one_line(error))
        raise UserError(f"{path}: cannot be read as a {path.suffix} file of weights ({reason})") from error


def verify_hash(path: Path) -> None:
    """Compares the file's SHA-256 with the prefix of it in its name, as in resnet18-f37072fd.pth.

    Raises:
        UserError: there is no such file, or they differ.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path}: cannot be opened ({reason}); check the path") from error
    expected = _HASH.search(path.name)
    if expected and not found.startswith(expected[1]):
        raise UserError(
            f"{path}: its SHA-256 begins with {found[: len(expected[1])]}, not with {expected[1]} as its name says; "
            "download it again, or rename it if that is no SHA-256"
        )


def _pytorch(path: Path) -> dict[str, np.ndarray]:
    try:
        import_torch()
    except UserError as error:
        raise UserError(f"{path}: {error}, or give the same weights as .safetensors") from error
    loaded = read_pickled(path)
    if not isinstance(loaded, Mapping) or not all(hasattr(value, "detach") for value in loaded.values()):
        raise UserError(f"{path}: holds no dictionary of tensors; save the network's state_dict() alone")
    tensors = {str(name): tensor for name, tensor in loaded.items()}
    return _read(tensors, lambda name: _numpy(tensors[name]))


def _numpy(tensor: Any) -> np.ndarray:
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).detach().numpy()


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return _read(file.keys(), file.get_tensor)


def _npz(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
        return _read(members.files, members.__getitem__)


def _read(names: Iterable[str], read: Callable[[str], object]) -> dict[str, np.ndarray]:
    arrays = {}
    for name in names:
        try:
            array = read(name)
        except Exception as error:
            raise ValueError(f"{printable(name)}: {one_line(error)}") from error
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{printable(name)}: is no array")
        arrays[name] = array.astype(np.float32) if array.dtype == jnp.bfloat16 else array
    return arrays


_READERS = {".pth": _pytorch, ".pt": _pytorch, ".safetensors": _safetensors, ".npz": _npz}
