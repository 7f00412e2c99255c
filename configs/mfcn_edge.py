"""The network of configs/mfcn.py, its two maps combined: the surface within closed edges.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/salloum.py.
"""

from splice_jax.runs.builtin import salloum

get_config = salloum.mfcn_edge
