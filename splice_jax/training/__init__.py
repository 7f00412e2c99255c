"""Training. Start with `loop.train`, top to bottom; `step` is one gradient step, `optimizer` builds its optimizer.

Nothing here depends on which network is trained: `methods.registry.family` looks up, by `config.method`, the object
that makes the network, its batches, its loss and its localizer. A step is a pure function of (state, batch) and a loss
of (variables, batch, key), so a new network needs no change in this folder.
"""
