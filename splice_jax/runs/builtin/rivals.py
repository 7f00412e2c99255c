"""Every row that needs no trained run, for comparison; nothing is trained.

    python evaluate.py --config=configs/rivals.py --workdir=runs/rivals --config.dataset=folder --config.data_dir=DIR

Add rows of trained runs with `--config.runs=runs/sgn,runs/mfcn --config.methods=sgn,mfcn,noi1,cfa1`. What each method
looks at, what it needs and when it fails is in docs/rows.md.
"""

from ml_collections import ConfigDict

from splice_jax.methods.registry import PACKAGED, hand_crafted
from splice_jax.runs.builtin import default


def get_config() -> ConfigDict:
    """For evaluation only."""
    config = default.get_config()
    config.methods = ",".join((*hand_crafted(), *PACKAGED))
    config.crf.backend = "none"
    config.crf.neutral = "otsu"  # for `+crf`: these maps are not calibrated probabilities
    return config
