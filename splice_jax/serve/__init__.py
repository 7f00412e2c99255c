"""A local page: photographs are dropped on it and examined one after another; their pages and documents come back."""
