"""Training: optimizer, step, loop.

None of these knows what it trains: `localizers.family` finds, by `config.method`, the one object that makes the
network, its batches, its loss and its localizer. The step is a pure function of (state, batch), the loss one of
(variables, batch, key); adding a network changes nothing in this folder.
"""
