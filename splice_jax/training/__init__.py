"""Training: `loop.train` reads from top to bottom; `step` is one gradient step, `optimizer` what it updates with.

Nothing here knows which network is trained: `methods.trained.family` finds, by `config.method`, the object that makes
the network, its batches, its loss and its localizer. A step is a pure function of (state, batch), a loss one of
(variables, batch, key), so that a new network changes nothing in this folder.
"""
