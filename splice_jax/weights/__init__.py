"""Converts weights from elsewhere to Flax variables."""
