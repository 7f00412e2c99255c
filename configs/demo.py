"""A small Semi-Global Network on the embedded synthetic data, for a first look: some minutes on two CPU cores.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/demo.py.
"""

from splice_jax.runs.builtin import demo

get_config = demo.get_config
