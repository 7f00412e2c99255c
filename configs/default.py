"""Every field at its default; splice_jax/runs/schema.py lists them with their meanings.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/default.py.
"""

from splice_jax.runs.builtin import default

get_config = default.get_config
