"""The fully convolutional networks of Salloum, Ren & Kuo 2018: `sfcn`, `mfcn` and `mfcn_edge`."""
