"""The paper's size (256 values, three LSTM layers) on splices whose donor was rescaled and nothing else.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/rescale.py.
"""

from splice_jax.runs.builtin import rescale

get_config = rescale.get_config
