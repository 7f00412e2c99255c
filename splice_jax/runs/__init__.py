"""Runs: what was configured, what was learnt, and how both are read again."""
