"""The configurations that come with the package, by name: what `--config=NAME` may name, and what configs/ holds."""

import importlib

from ml_collections import ConfigDict

_HOMES = {
    **{name: (name, "get_config") for name in ("default", "demo", "rivals", "rescale", "histories")},
    **{name: (name, "get_config") for name in ("baseline", "bappy", "camera_response")},
    **{name: ("paper", name) for name in ("columbia", "carvalho", "nc2016")},
    **{name: ("salloum", name) for name in ("mfcn", "mfcn_edge", "sfcn")},
}
"""The module of this folder and the function in it that give each configuration."""

NAMES = tuple(_HOMES)


def builtin(name: str) -> ConfigDict:
    """A configuration of `NAMES`, a copy of its own at every call.

    Raises:
      KeyError: there is none of this name.
    """
    module, function = _HOMES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)()
