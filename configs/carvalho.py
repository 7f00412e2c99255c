"""The Semi-Global Network on the Carvalho data set (DSO-1), by the paper's schedule and class weights.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/paper.py.
"""

from splice_jax.runs.builtin import paper

get_config = paper.carvalho
