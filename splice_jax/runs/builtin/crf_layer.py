"""The CRF as the last layer of `sgt`: network, weights and widths are trained together, after training as usual.

    python train.py --config=configs/crf_layer.py --workdir=runs/layer --config.init=runs/sgt --config.data_dir=splices
    python evaluate.py --workdir=runs/layer --config.methods=sgt,sgt+crf

`--config.init=packaged` starts from the packaged model. More in docs/dense-crf.md.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import sgt


def get_config() -> ConfigDict:
    """A short training of a trained `sgt`, its map refined by three mean-field steps."""
    config = sgt.get_config()
    config.init = "packaged"
    config.loss.crf = 1.0
    config.crf.iterations = 3
    config.batch_size = 8
    config.learning_rate = 2e-4
    config.warmup_steps = 30
    config.num_steps = 1000
    config.ema_decay = 0.99
    config.validate_every = 250
    config.checkpoint_every = 250
    return config
