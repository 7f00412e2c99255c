"""The trained model that comes with the package: its weights, its calibration, and what it was made by.

A .npz file, read without unpickling, whose SHA-256 stands beside it. Its weights are for research and non-commercial
use (CC BY-NC 4.0), since photographs under such terms trained it; see docs/models.md.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from splice_jax.errors import UserError, one_line
from splice_jax.files import parsed_json, read_bytes, replacing
from splice_jax.weights.calibration import Calibration

FILE = Path(__file__).parent / "sgt.npz"
CHECKSUM = FILE.with_suffix(".sha256")
_VARIABLES, _CALIBRATION, _ABOUT = "variables/", "calibration/", "about"


@dataclass(frozen=True)
class Packaged:
    """A trained model with all that is needed to use it."""

    variables: dict[str, Any]
    """The network's Flax variables."""
    calibration: Calibration
    """Of these variables."""
    about: Mapping[str, Any]
    """`version`, `config`, and what it was trained on."""


def load_packaged() -> Packaged:
    """The packaged model.

    Raises:
        UserError: its file is missing or damaged.
    """
    content = read_bytes(FILE)
    expected = read_bytes(CHECKSUM).split()[:1]
    if [hashlib.sha256(content).hexdigest().encode()] != expected:
        raise UserError(f"{FILE}: does not have the checksum in {CHECKSUM.name}; install the package again")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
        about = dict(parsed_json(bytes(arrays.pop(_ABOUT))))
        calibration: dict[str, Any] = {
            name: value if value.ndim else float(value) for name, value in _part(arrays, _CALIBRATION).items()
        }
        variables = unflatten_dict(_part(arrays, _VARIABLES), sep="/")
        return Packaged(variables, Calibration(**calibration), about)
    except Exception as error:  # zipfile, zlib, NumPy and json each have their own
        raise UserError(f"{FILE}: cannot be read ({one_line(error)}); install the package again") from error


def save_packaged(packaged: Packaged, path: Path) -> str:
    """Writes a model to `path` and its checksum beside it; returns the SHA-256."""
    arrays: dict[str, Any] = {
        _VARIABLES + name: np.asarray(value) for name, value in flatten_dict(packaged.variables, sep="/").items()
    }
    arrays |= {_CALIBRATION + name: np.asarray(value) for name, value in asdict(packaged.calibration).items()}
    arrays[_ABOUT] = np.frombuffer(json.dumps(dict(packaged.about), sort_keys=True).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    with replacing(path) as unfinished:
        unfinished.write_bytes(buffer.getvalue())
    with replacing(path.with_suffix(".sha256")) as unfinished:
        unfinished.write_text(f"{digest}  {path.name}\n")
    return digest


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
