"""Training: optimizer, step, loop."""
