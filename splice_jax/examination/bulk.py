"""Examining as a bulk job."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from splice_jax.bulk.tasks import DONE, Made, Make
from splice_jax.localize.bulk import made_by


class Examine(NamedTuple):
    """A maker of what `examine` writes; the field is its flag."""

    workdir: Path | None = None

    def describe(self) -> dict[str, Any]:
        return {"command": "examine", **made_by(self.workdir, packaged=self.workdir is None)}

    def load(self) -> Make:
        from splice_jax.examination import batch, rows  # Here, so that only workers need the memory for them.

        chosen = rows.load_rows(self.workdir)

        def make(encoded: bytes, name: str, stem: Path) -> Made:
            made = batch.make(encoded, Path(name).name, chosen, title=name)
            batch.write(made, stem)
            return Made(DONE, made.examination.verdict.headline, _found(json.loads(made.document)["rows"]))

        return make


def _found(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the document says of every row that has a map."""
    fields = ("score", "alarm", "marked_share")
    return {row["row"]: {name: row[name] for name in fields} for row in rows if row["undefined"] is None}
