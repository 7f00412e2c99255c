"""The network of Bappy et al. 2017: the local network of the Semi-Global Network alone, which is a rival of it.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/bappy.py.
"""

from splice_jax.runs.builtin import bappy

get_config = bappy.get_config
