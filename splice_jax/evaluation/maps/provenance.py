"""What a row's map depends on, so that a cached map is known to be stale."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from splice_jax.errors import UserError
from splice_jax.evaluation.runs import Run
from splice_jax.methods.registry import method as method_of
from splice_jax.runs import schema
from splice_jax.runs.configuration import field_value

CHECKPOINT = Path("checkpoints", "best")
"""As `splice_jax.runs.checkpoints` names it; to ask it would load JAX, which a re-scoring has no use for."""

ATTEMPTS = 5
"""At a checkpoint that changes while it is read."""

IMAGES, DEGRADATION, SEED = "images", "degradation", "seed"


def made_from(method: str, crf: str, config: ConfigDict, run: Run | None, checkpoint: str = "") -> dict[str, Any]:
    """What the maps of a row are made from, apart from the images.

    Of a run's network: the checkpoint's content and the run's configuration; of another row: its name, and of random
    maps the seed.

    Args:
      method: the row's.
      crf: the CRF after it.
      config: of the evaluation.
      run: that the row is taken from; None where it needs none.
      checkpoint: of that run, see `checkpoint_digest`.
    """
    found: dict[str, Any] = {"method": method}
    if run is not None:
        found |= {"checkpoint": checkpoint} | _influential(run.config)
    elif method == "random":
        found[SEED] = config.seed
    if (version := method_of(method).version) > 1:
        found["version"] = version
    if crf != "none":
        found |= {f"crf.{name}": value for name, value in config.crf.to_dict().items()} | {"crf.backend": crf}
    return found


def differing_fields(expected: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """The names of what maps would be made from otherwise now, sorted.

    Records of earlier versions also name fields that change no map, which are passed over, and lack those that are
    newer than they are: these had the default then, as in the configuration of an old run.
    """
    defaults = _influential(schema.default_config())
    then = {name: value for name, value in recorded.items() if _counts(name, recorded)}
    then |= {name: defaults[name] for name in expected if name in defaults and name not in then}
    both = {*expected, *then}
    return sorted(name for name in both if _as_json(expected.get(name)) != _as_json(then.get(name)))


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))  # Which has lists where a configuration has tuples.


def _counts(name: str, recorded: Mapping[str, Any]) -> bool:
    if name == SEED:
        return recorded.get("method") == "random" or str(recorded.get(DEGRADATION)).startswith("noise:")
    return not name.startswith("config.") or name.removeprefix("config.") in schema.SHAPES_MAPS


def checkpoint_digest(workdir: Path) -> str:
    """SHA-256 of a run's best checkpoint, read without JAX; "" where there is none.

    Raises:
      UserError: training replaces it again and again while it is read.
    """
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):  # It was removed, for the run has a better one now.
            return _digest(workdir / CHECKPOINT)
    raise changing_checkpoint(workdir)


def changing_checkpoint(workdir: Path) -> UserError:
    """What to raise where a checkpoint never stands still for as long as it is read."""
    return UserError(f"{workdir}: a better checkpoint came each time that it was read; evaluate a copy of the run")


def _digest(folder: Path) -> str:
    """Of the newest checkpoint in a folder, not of what is written beside it or is being removed."""
    step = _newest(folder)
    if step is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(path for path in (folder / step).rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    if _newest(folder) != step:
        raise FileNotFoundError(step)
    return digest.hexdigest()


def _newest(folder: Path) -> str | None:
    steps = [path.name for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return max(steps, key=int, default=None)


def _influential(config: ConfigDict) -> dict[str, Any]:
    return {f"config.{field}": field_value(config, field) for field in sorted(schema.SHAPES_MAPS)}
