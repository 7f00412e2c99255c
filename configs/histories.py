"""Splices composed from one's own photographs, host and donor each with a processing history: for real photographs.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/histories.py.
"""

from splice_jax.runs.builtin import histories

get_config = histories.get_config
