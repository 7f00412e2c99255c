"""The released baseline as it is, defects included: every faithful variant at once.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/baseline.py.
"""

from splice_jax.runs.builtin import baseline

get_config = baseline.get_config
