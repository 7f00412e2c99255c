"""Which branches of a reader's code its mutants reach; coverage.py says it, where that is installed."""

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_WRITES = "writes, or makes names to write to: no file that is read decides over it"
_SYSTEM = "what the system, a missing package or a lack of memory does to any file"
_OTHERS = "is asked about other things than the content of a file: flags, names, folders, processes"
BEYOND: Mapping[str, Mapping[str, str]] = {
    "": {
        r"except (OSError|FileNotFoundError|ImportError|MemoryError|BlockingIOError|sqlite3\.Error)\b": _SYSTEM,
        r"if isinstance\(error, MemoryError\)": _SYSTEM,
    },
    "images.reading": {r"def most_pixels": _OTHERS},
    "images.formats": {r"def (listing|is_image|images_in|told)": _OTHERS},
    "bulk.manifest": {r"if (not os\.fstat|os\.write)": _SYSTEM},
    "runs.configuration": {
        r"def (read_config_file|_failure|save_config|field_value)|if not (workdir|path)\.is_": _OTHERS
    },
    "weights.files": {r"if reader is None": _OTHERS},
    "weights.pickled": {r"if not path\.is_file|if tuple\(map\(int, torch|def write_pickled": _SYSTEM},
    "data.composing.compositions": {r"if not path\.exists": _OTHERS},
    "runs.checkpoints": {
        r"def (save|_remove_unfinished|_stands|_reason)": _WRITES,
        r"if not (read_only|self\._read_only)": _WRITES,
        r"if not bad": _OTHERS,
    },
}
"""Code in a reader's modules that no content of a file leads to or away from: module ("" for all) -> how a line of it
begins, which stands for its whole block -> why."""

Shares = dict[str, float]
"""By module, the share of its branches that were reached, in [0, 1]."""


@contextlib.contextmanager
def measured(modules: Sequence[str]) -> Iterator[Callable[[], Shares | None]]:
    """Within the block, notes what is reached of modules of splice_jax; after it, what it gives says how much.

    None without coverage.py.
    """
    if importlib.util.find_spec("coverage") is None:
        yield lambda: None
        return
    coverage: Any = importlib.import_module("coverage")
    found = coverage.Coverage(branch=True, data_file=None, source_pkgs=["splice_jax"])
    found.set_option("run:disable_warnings", ["module-not-measured", "no-data-collected"])  # What is in functions is.
    found.start()
    try:
        yield lambda: {module: round(_share(found, module), 3) for module in modules}
    finally:
        found.stop()


def _share(found: Any, module: str) -> float:
    found.clear_exclude()
    for pattern in (*BEYOND[""], *BEYOND.get(module, ())):
        found.exclude(rf"^\s*(?:{pattern})")
    numbers = found._analyze(importlib.import_module(f"splice_jax.{module}").__file__).numbers
    return 1 - numbers.n_missing_branches / max(1, numbers.n_branches)
