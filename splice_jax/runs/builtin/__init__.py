"""The configurations that come with the package, by name, as in `--config=NAME`; configs/ holds the same ones."""

import importlib

from ml_collections import ConfigDict

_HOMES = {
    **{name: (name, "get_config") for name in ("default", "demo", "rivals", "rescale", "histories")},
    **{name: (name, "get_config") for name in ("sgt", "crf_layer")},
    "crf_layer_sgn": ("crf_layer", "sgn"),
    **{name: (name, "get_config") for name in ("baseline", "bappy", "camera_response")},
    **{name: ("paper", name) for name in ("columbia", "carvalho", "nc2016")},
    **{name: ("salloum", name) for name in ("mfcn", "mfcn_edge", "sfcn")},
}
"""The module in this folder, and its function, that returns each configuration."""

NAMES = tuple(_HOMES)


def builtin(name: str) -> ConfigDict:
    """A configuration in `NAMES`, a fresh copy on each call.

    Raises:
      KeyError: no configuration has this name.
    """
    module, function = _HOMES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)()
