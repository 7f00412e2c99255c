"""Flax modules: pure functions of (variables, arrays), no I/O."""
