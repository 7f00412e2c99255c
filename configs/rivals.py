"""Every row that needs no trained run, for comparison; nothing is trained.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/rivals.py.
"""

from splice_jax.runs.builtin import rivals

get_config = rivals.get_config
