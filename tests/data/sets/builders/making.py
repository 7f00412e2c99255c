"""What builders make of their files."""

from splice_jax.data.sets.builders.base import Record, SpliceBuilder
from splice_jax.errors import UserError


def made(builder: SpliceBuilder) -> dict[str, list[Record]]:
    """The records of all parts; raises the first error of a file."""
    parts: dict[str, list[Record]] = {}
    for part, records in builder.records().items():
        parts[part] = []
        for record in records:
            if isinstance(record, UserError):
                raise record
            parts[part].append(record)
    return parts
