"""Weights from elsewhere as Flax variables."""
