"""The multi-task fully convolutional network of Salloum, Ren & Kuo: VGG-16 with a surface and an edge decoder.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/salloum.py.
"""

from splice_jax.runs.builtin import salloum

get_config = salloum.mfcn
