"""Methods that are trained: a network, what it learns from, and how it localizes."""
