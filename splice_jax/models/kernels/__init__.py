"""Operations the networks are built from, written to be fast in XLA on each kind of processor."""
