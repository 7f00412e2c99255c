"""The trace bank of `sgt`: what every block of a photograph shows of its making."""
