"""Flax variables as a .npz file: one array per variable, named by its path, `params/conv1/kernel`."""

from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from splice_jax.errors import UserError, listed, one_line
from splice_jax.files import replacing


def save_variables(variables: dict[str, Any], path: Path) -> None:
    """Writes variables to `path`."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in flatten_dict(variables, sep="/").items()}
    with replacing(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(file, **arrays)


def load_variables(path: Path, like: dict[str, Any]) -> dict[str, Any]:
    """Variables with the names and shapes of `like`. Nothing is unpickled.

    Raises:
        UserError: the file is missing or of another kind, or arrays are missing, left over or of another shape.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
    except Exception as error:  # zipfile, zlib and NumPy's header parser each have their own
        raise UserError(f"{path}: cannot be read as a .npz file of weights ({one_line(error)})") from error
    wanted = {name: np.shape(value) for name, value in flatten_dict(like, sep="/").items()}
    wrong = sorted(set(wanted) ^ set(arrays))
    wrong += [name for name, shape in wanted.items() if name in arrays and np.shape(arrays[name]) != shape]
    if wrong:
        raise UserError(f"{path}: does not hold this network; missing, left over or misshapen: {listed(wrong)}")
    return unflatten_dict(arrays, sep="/")
