"""What a row's map depends on, so that a cached map is known to be stale."""

import hashlib
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from splice_jax.evaluation.runs import Run
from splice_jax.methods.registry import method as method_of
from splice_jax.runs import schema
from splice_jax.runs.configuration import field_value

CHECKPOINT = Path("checkpoints", "best")
"""As `splice_jax.runs.checkpoints` names it; to ask it would load JAX, which a re-scoring has no use for."""


def origin(method: str, crf: str, config: ConfigDict, run: Run | None) -> dict[str, Any]:
    """What the maps of a row are made from, apart from the images.

    Of a run's network: the checkpoint's content and the run's configuration; of another row: its name and the seed.

    Args:
      method: the row's.
      crf: the CRF after it.
      config: of the evaluation.
      run: that the row is taken from; None where it needs none.
    """
    found: dict[str, Any] = {"method": method}
    if run is not None:
        found |= {"checkpoint": checkpoint_digest(run.workdir)} | _influential(run.config)
    else:
        found["seed"] = config.seed
    if (version := method_of(method).version) > 1:
        found["version"] = version
    if crf != "none":
        found |= {f"crf.{name}": value for name, value in config.crf.to_dict().items()} | {"crf.backend": crf}
    return found


def checkpoint_digest(workdir: Path) -> str:
    """SHA-256 of a run's best checkpoint, read without JAX; "" where there is none."""
    folder = workdir / CHECKPOINT
    digest = hashlib.sha256()
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest() if files else ""


def _influential(config: ConfigDict) -> dict[str, Any]:
    return {f"config.{field}": field_value(config, field) for field in sorted(schema.SHAPES_MAPS)}
