"""Every field at its default: the Semi-Global Network at the paper's size, on the embedded synthetic data set.

    python train.py --workdir=runs/default

`splice_jax/runs/schema.py` lists the fields with their meanings; other configurations change a few of them.
"""

from splice_jax.runs.schema import default_config

get_config = default_config
