"""Flax modules: pure functions of (variables, arrays), without I/O."""
