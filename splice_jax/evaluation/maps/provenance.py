"""What a row's maps depend on, to detect stale cached maps."""

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
"""As in `splice_jax.runs.checkpoints`; importing that would load JAX, which re-scoring does not need."""

ATTEMPTS = 5
"""How often to try reading a checkpoint that changes while it is read."""

IMAGES, DEGRADATION, SEED = "images", "degradation", "seed"


def made_from(method: str, crf: str, config: ConfigDict, run: Run | None, checkpoint: str = "") -> dict[str, Any]:
    """What a row's maps are made from, apart from the images.

    For a run's network: the checkpoint's content and the run's configuration; for other methods: the name, and for
    random maps the seed.

    Args:
      method: the row's method.
      crf: the row's CRF.
      config: the evaluation's configuration.
      run: the run the row is taken from; None if it needs none.
      checkpoint: that run's checkpoint, see `checkpoint_digest`.
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
    """The sorted names of fields in which maps made now would differ from recorded ones.

    Records of earlier versions also name fields that do not affect maps, which are ignored, and lack newer fields,
    which then had their defaults, as in the configuration of an old run.
    """
    defaults = _influential(schema.default_config())
    then = {name: value for name, value in recorded.items() if _counts(name, recorded)}
    then |= {name: defaults[name] for name in expected if name in defaults and name not in then}
    both = {*expected, *then}
    return sorted(name for name in both if _as_json(expected.get(name)) != _as_json(then.get(name)))


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))  # JSON has lists where a configuration has tuples.


def _counts(name: str, recorded: Mapping[str, Any]) -> bool:
    if name == SEED:
        return recorded.get("method") == "random" or str(recorded.get(DEGRADATION)).startswith("noise:")
    return not name.startswith("config.") or name.removeprefix("config.") in schema.SHAPES_MAPS


def checkpoint_digest(workdir: Path) -> str:
    """SHA-256 of a run's best checkpoint, read without JAX; "" if there is none.

    Raises:
      UserError: training keeps replacing it while it is read.
    """
    for _ in range(ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):  # Removed because the run has a better one now.
            return _digest(workdir / CHECKPOINT)
    raise changing_checkpoint(workdir)


def changing_checkpoint(workdir: Path) -> UserError:
    """The error to raise if a checkpoint changes every time it is read."""
    return UserError(f"{workdir}: a better checkpoint came each time that it was read; evaluate a copy of the run")


def _digest(folder: Path) -> str:
    """Digest of the newest checkpoint in a folder, ignoring any that are being written or removed."""
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
