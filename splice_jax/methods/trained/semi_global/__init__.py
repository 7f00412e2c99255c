"""The Semi-Global Network and the network of Bappy et al.: `sgn` and `bappy`."""
