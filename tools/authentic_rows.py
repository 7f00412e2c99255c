"""Measures what the rows without training do on authentic photographs: python -m tools.authentic_rows FOLDER... .

Writes splice_jax/examination/authentic.json, which holds no photograph: only how clearly the part that a row marks
stands apart, as quantiles over all photographs that it could judge.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import splice_jax
from splice_jax.examination import authentic
from splice_jax.files import replacing
from splice_jax.images import IMAGE_SUFFIXES
from splice_jax.methods import Undefined
from splice_jax.methods.registry import hand_crafted

OUTPUT = Path(authentic.__file__).with_name(authentic.FILE_NAME)


def separations(path: Path) -> dict[str, float]:
    """By row, how clearly the marked part stands apart; without the rows that are undefined for this photograph."""
    found = {}
    for name in hand_crafted():
        try:
            found[name] = authentic.separation(splice_jax.localizer(name).localize_file(path))
        except Undefined:
            continue
    return found


def measure(folders: Sequence[Path], processes: int) -> dict[str, Any]:
    """The content of the file."""
    paths = sorted(path for each in folders for path in each.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    with ProcessPoolExecutor(processes) as workers:
        return authentic.summarize(list(workers.map(separations, paths, chunksize=4)))


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="authentic photographs")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="(default 2)")
    arguments = parser.parse_args()
    content = measure(arguments.folders, arguments.processes)
    with replacing(OUTPUT) as beside:
        beside.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
