"""How XLA is made fast: what the networks compute with, by processor."""
