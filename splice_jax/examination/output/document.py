"""The JSON document of an examination; docs/examination.md describes every field.

Numbers are those of the Python interface to the last digit; `probability_sha256` and `mask_sha256` identify the arrays.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import splice_jax
from splice_jax.examination.file.earlier import EarlierJpeg
from splice_jax.examination.file.facts import Facts
from splice_jax.examination.file.jpeg_structure import Structure
from splice_jax.examination.file.thumbnail import Thumbnail
from splice_jax.examination.looking import RowResult
from splice_jax.examination.photograph import Examination

SCHEMA = 1
"""Raised when a field is renamed, removed or changes its meaning; new fields do not raise it."""


def document(examination: Examination, rows: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """The content of STEM.examination.json.

    Args:
        examination: what was found.
        rows: `row_entry` of each row, if they were made while there were maps; by default, of the examination's rows.
    """
    height, width = examination.image.shape[:2]
    without = examination.no_evidence
    return {
        "schema": SCHEMA,
        "program": f"splice_jax {splice_jax.__version__}",
        "examined": examination.examined.isoformat(timespec="seconds"),
        "photograph": {"width": width, "height": height, "resized": examination.resized},
        "no_evidence": {"clipped": _share(without.clipped), "flat": _share(without.flat)},
        "verdict": vars(examination.verdict),
        "standing_out": {
            "rows": [row.name for row in examination.rows if row.stands_out],
            "by_chance": examination.by_chance,
        },
        "rows": list(rows) if rows is not None else [row_entry(row) for row in examination.rows],
        "contradictions": [found._asdict() for found in examination.contradictions],
        "file": file_entry(examination.facts, examination.compressions),
    }


def encode(content: Mapping[str, Any]) -> str:
    """The document as text; floats are written so that reading them gives the same floats."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def row_entry(row: RowResult) -> dict[str, Any]:
    """One row; numbers are null where it has no map."""
    found = row.found
    entry: dict[str, Any] = {
        "row": row.name,
        "looks_for": row.looks_for,
        "undefined": row.undefined or None,
        "cautions": row.cautions,
        "silent": row.silent,
        "seconds": round(row.seconds, 3),
        "score": found.score if found else None,
        "alarm": found.alarm if found else None,
        "marked_share": float(found.mask.mean()) if found else None,
        "valid_share": float(found.valid.mean()) if found else None,
        "no_evidence": {reason: _share(area) for reason, area in row.no_evidence.items()},
        "authentic": row.authentic._asdict() if row.authentic else None,
        "probability": None,
    }
    if found:
        entry["probability"] = _statistics(found.probability)
        entry["probability_sha256"], entry["mask_sha256"] = digest(found.probability), digest(found.mask)
    return entry


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's values, row by row; booleans are bytes 0 and 1, floats little-endian."""
    return hashlib.sha256(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()).hexdigest()


def file_entry(facts: Facts, compressions: str) -> dict[str, Any]:
    """Everything that is known of the file."""
    metadata = facts.metadata
    return {
        "name": facts.name,
        "size": facts.size,
        "sha256": facts.sha256,
        "format": facts.format,
        "stored_width": facts.width,
        "stored_height": facts.height,
        "mode": facts.mode,
        "orientation": facts.orientation,
        "icc_profile": facts.profile or None,
        "camera": metadata.camera or None,
        "software": metadata.software,
        "gps": metadata.gps,
        "exif": metadata.exif,
        "text": metadata.text,
        "declared_generated": metadata.generated,
        "metadata_problem": metadata.problem or None,
        "thumbnail": _thumbnail(facts.thumbnail),
        "jpeg": _jpeg(facts, compressions) if facts.jpeg else None,
        "earlier_jpeg": _earlier(facts.earlier_jpeg),
        "content_credentials": facts.credentials,
    }


def _jpeg(facts: Facts, compressions: str) -> dict[str, Any]:
    found = facts.jpeg
    assert found is not None
    names = ("process", "precision", "components", "subsampling", "scans", "restart_interval", "restart_markers")
    return {
        **{name: getattr(found, name) for name in (*names, "trailing_bytes", "trailing", "comments")},
        "tables": _tables(found),
        "quality": {name: quality._asdict() for name, quality in facts.qualities.items()},
        "segments": [segment._asdict() for segment in found.segments],
        "compressions": compressions,
        "problem": found.problem or None,
    }


def _earlier(found: EarlierJpeg | None) -> dict[str, Any] | None:
    return None if found is None else {"quality": found.quality, "origin": list(found.origin)}


def _tables(found: Structure) -> dict[str, list[list[int]]]:
    return {str(number): [list(line) for line in table] for number, table in sorted(found.tables.items())}


def _thumbnail(found: Thumbnail | None) -> dict[str, Any] | None:
    if found is None:
        return None
    height, width = found.pixels.shape[:2]
    numbers = {"correlation": found.correlation, "difference": found.difference}
    return {"width": width, "height": height, "same_shape": found.same_shape, **numbers, "differs": found.differs}


def _statistics(probability: np.ndarray) -> dict[str, float]:
    return {name: float(getattr(probability, name)()) for name in ("min", "mean", "max")}


def _share(area: np.ndarray) -> float:
    return float(area.mean())
