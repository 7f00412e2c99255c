"""Semi-Global Traces: finds splices in photographs from anywhere. The packaged model is trained by this configuration.

Its commands and what it is trained on: splice_jax/runs/builtin/sgt.py.
"""

from splice_jax.runs.builtin import sgt

get_config = sgt.get_config
