"""Trained methods: for each, its network, what it learns from, and how it localizes."""
