"""The networks' building blocks, written to be fast in XLA, by processor."""
