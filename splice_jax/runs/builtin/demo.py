"""A small Semi-Global Network on the embedded synthetic data, for a first look: a few minutes on two CPU cores.

    python train.py --config=configs/demo.py --workdir=runs/demo
    python evaluate.py --workdir=runs/demo

A quarter of the paper's hidden size and one LSTM layer.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def get_config() -> ConfigDict:
    """The demo."""
    config = default.get_config()
    config.hidden_size = 64
    config.num_layers = 1
    config.learning_rate = 3e-3
    config.num_steps = 600
    config.schedule = "cosine"
    config.warmup_steps = 100
    config.validate_every = 200
    return config
