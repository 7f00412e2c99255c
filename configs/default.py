"""Every field of a run, with its default. Other configurations import this one and change a few lines.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/default.py.
"""

from splice_jax.runs.builtin import default

get_config = default.get_config
