"""The Semi-Global Network on NIST's Nimble Challenge 2016, by the paper's schedule and class weights.

Its source, its commands and what to expect of it: splice_jax/runs/builtin/paper.py.
"""

from splice_jax.runs.builtin import paper

get_config = paper.nc2016
