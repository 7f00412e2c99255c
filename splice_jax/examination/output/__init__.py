"""What is written of an examination: a self-contained page and a JSON document with the same numbers."""
