"""Splices composed from photographs, and photographs simulated from scenes."""
