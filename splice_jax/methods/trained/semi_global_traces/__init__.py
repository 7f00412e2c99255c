"""Semi-Global Traces, `sgt`: the traces of every block judged beside those of the whole image."""
