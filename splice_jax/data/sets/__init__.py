"""What a data set is: its builder, its splits, and whether it is what it should be."""
