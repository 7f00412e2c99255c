"""Configurations of evaluations."""

from ml_collections import ConfigDict

from splice_jax.runs.builtin.default import get_config


def config(**changes: object) -> ConfigDict:
    """The default one for a data set `folder` and without a CRF, fields changed as the arguments say."""
    found = get_config()
    given: dict[str, object] = {
        "dataset": "folder",
        "data_dir": "somewhere",
        "crf": {"backend": "none", "iterations": 2},
    }
    found.update(given | changes)
    return found
