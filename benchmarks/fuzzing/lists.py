"""Readers of tables and of what evaluations write."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.fuzzing.reader import Reader, is_text
from splice_jax.data.composing import compositions
from splice_jax.data.sets import splits
from splice_jax.data.sets.builders import nc2016
from splice_jax.evaluation.maps import cache, records
from splice_jax.evaluation.scores.conventions import HEADLINE
from splice_jax.evaluation.summary import read_scores
from splice_jax.localize.results import SUFFIXES, Outcome, named
from splice_jax.localize.summary import refuse_mixing


def _table(columns: list[str], rows: list[list[object]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def _tables(folder: Path) -> Mapping[str, bytes]:
    images = [f"image{number}.png" for number in range(6)]
    listed = {"part": "all", "group": "1", "name": "x"}
    parts = [[listed.get(column, "5") if column != "name" else name for column in splits.COLUMNS] for name in images]
    summary = ["a.jpg" if field == "image" else "noi1" for field in Outcome._fields]
    named(folder / "a", SUFFIXES[0]).write_bytes(b"a result")
    columns = [*compositions.COLUMNS]
    return {
        "compositions.csv": _table(columns, [[f"{column}{row}" for column in columns] for row in range(6)]),
        "reference.csv": _table([*nc2016.REQUIRED], [["world/a.jpg"] * len(nc2016.REQUIRED)] * 4, "|"),
        "images.csv": _table([*splits.COLUMNS], [list(row) for row in parts]),
        "splits/seed0.csv": _table(["split", "name"], [["train", name] for name in images]),
        "summary.csv": _table([*Outcome._fields], [list(summary)] * 3),
    }


def _read_table(path: Path) -> None:
    builder: Any = SimpleNamespace(data_dir=path.parents[path.parent.name == "splits"], counts={"all": 6})
    if path.name == "compositions.csv":
        found = compositions.photographs(path.parent)
        compositions.shared(found, found[1:])
    elif path.name == "reference.csv":
        nc2016.read_reference(path)
    elif path.name == "summary.csv":
        refuse_mixing({Path("a.jpg"): path.parent / "a"}, path.parent, ["noi1"])
    else:
        splits.split_of(builder, splits.image_list(builder), 0)


def _results(folder: Path) -> Mapping[str, bytes]:
    cache.write_map(folder / "a.png", np.arange(60, dtype=np.uint16).reshape(6, 10))
    cache.write_map(folder / "b.png", np.arange(60, dtype=np.uint16).reshape(6, 10))
    cache.write_labels(folder / "a.labels.npy", np.ones((2, 3), np.float32))
    record = {
        "made_from": {"row": "noi1"},
        "patches": [64, "inward"],
        "maps": [{"image": "a", "sha256": "", "seconds": 1}],
    }
    scores = {"dataset": "folder", "split": "test", "config": {"seed": 1}, "images": 2, "commit": ""}
    row = {"method": "noi1", "note": "", "crf": "none", "scores": [asdict(HEADLINE)]}
    texts = {"noi1.json": record, "scores.json": scores | {"rows": [row]}}
    found = {name: json.dumps(content).encode() for name, content in texts.items()}
    return found | {name: (folder / name).read_bytes() for name in ("a.png", "b.png", "a.labels.npy")}


def _read_result(path: Path) -> None:
    if path.name == "noi1.json":
        records.read_record(path.parent, "noi1")
    elif path.name == "scores.json":
        read_scores(path)
    elif path.suffix == ".png":
        cache.read_map(
            path, hashlib.sha256(path.with_name("a.png").read_bytes()).hexdigest() if path.stem == "b" else None
        )
    else:
        cache.read_labels(path)


READERS = {
    "table": Reader(_tables, _read_table, is_text, ("data.composing.compositions", "localize.summary")),
    "results": Reader(
        _results,
        _read_result,
        lambda content: is_text(content) or content[:6] in (b"\x89PNG\r\n", b"\x93NUMPY"),
        ("evaluation.maps.cache",),
    ),
}
