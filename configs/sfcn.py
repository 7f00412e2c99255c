"""The single-task network of Salloum, Ren & Kuo: as configs/mfcn.py, without the edge decoder.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/salloum.py.
"""

from splice_jax.runs.builtin import salloum

get_config = salloum.sfcn
