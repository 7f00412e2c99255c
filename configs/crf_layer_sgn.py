"""The CRF as the last layer of `sgn`, trained with the network after training as usual.

Its commands and what it starts from: splice_jax/runs/builtin/crf_layer.py.
"""

from splice_jax.runs.builtin import crf_layer

get_config = crf_layer.sgn
