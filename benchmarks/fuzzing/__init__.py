"""What benchmarks.fuzz tries: readers of files, their mutants, and what becomes of them."""
