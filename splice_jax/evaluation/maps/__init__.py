"""The maps of an evaluation: which are needed, how they are made, and what they are made from."""
