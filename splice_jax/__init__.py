"""Image splicing localization: every method takes an image and returns a map of where it was spliced.

>>> import numpy as np
>>> import splice_jax
>>> localizer = splice_jax.localizer("all_spliced")  # any row of the comparison by its name
>>> found = localizer(np.zeros((48, 64, 3), np.uint8))
>>> found.probability.shape
(48, 64)

`splice_jax.load("runs/columbia")` returns the localizer of a trained run, `splice_jax.examine("photo.jpg")` what all
rows and the file itself say of one photograph. All are imported on first use, so JAX is not loaded until a network is
needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splice_jax.examination import examine as examine
    from splice_jax.methods.registry import localizer as localizer
    from splice_jax.runs.load import load as load

__version__ = "0.2.0"

_HOMES = {
    "examine": "splice_jax.examination",
    "load": "splice_jax.runs.load",
    "localizer": "splice_jax.methods",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
