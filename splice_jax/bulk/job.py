"""What a folder's results were made by, kept beside them: a job is only gone on with if it is the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splice_jax.errors import UserError
from splice_jax.files import read_bytes, replacing

FILE_NAME = "job.json"


def refuse_other_job(output: Path, job: Mapping[str, Any]) -> None:
    """Writes what a job depends on into its folder, or compares it with what is there.

    Raises:
        UserError: the folder holds another job's results, or cannot be written to.
    """
    path, now = output / FILE_NAME, json.loads(json.dumps(job))
    if not path.exists():
        with replacing(path) as beside:
            beside.write_text(json.dumps(now, indent=2) + "\n", encoding="ascii")
        return
    try:
        earlier = json.loads(read_bytes(path, most=2**20))
    except (ValueError, RecursionError):
        earlier = None
    if not isinstance(earlier, dict):
        raise UserError(f"{path}: is no description of a bulk job; choose another output folder")
    for name in dict.fromkeys([*now, *earlier]):
        if now.get(name) != earlier.get(name):
            was, wanted = (json.dumps(each.get(name)) for each in (earlier, now))
            raise UserError(
                f"{output}: holds the results of a job with {name} {was}, not {wanted}; choose another output folder"
            )
