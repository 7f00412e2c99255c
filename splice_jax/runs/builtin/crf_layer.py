"""The CRF as a network's last layer: network, weights and widths are trained together, after training as usual.

    python train.py --config=configs/crf_layer.py --workdir=runs/layer --config.init=runs/sgt --config.data_dir=splices
    python evaluate.py --workdir=runs/layer --config.methods=sgt,sgt+crf

`--config.init=packaged` starts from the packaged model. For `sgn`, which comes without one, configs/crf_layer_sgn.py.
More in docs/dense-crf.md.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default, sgt

CROPS = 8
"""Images in a batch, parts of 256x256 pixels."""


def get_config() -> ConfigDict:
    """A short training of a trained `sgt`, its map refined by three mean-field steps."""
    return after(sgt.get_config())


def sgn() -> ConfigDict:
    """A short training of a trained `sgn`, its map refined by three mean-field steps.

        python train.py --config=configs/crf_layer_sgn.py --workdir=runs/layer --config.init=runs/sgn
        python evaluate.py --workdir=runs/layer --config.methods=sgn,sgn+crf

    and `--config.data_dir=splices`. The run that it starts from holds a network of the paper's size with the global
    network `cnn`; of another, give the fields that differ, such as `--config.hidden_size=64 --config.num_layers=1` for
    that of configs/demo.py.
    """
    config = default.get_config()
    config.dataset = "folder"
    return after(config)


def after(config: ConfigDict) -> ConfigDict:
    """The configuration of a trained run, changed to train on from it with the CRF."""
    config.init = "packaged"
    if config.method == "sgt":
        config.batch_size = CROPS
        config.loss.crf = 1.0
    else:
        config.patches_per_image = 16
        config.batch_size = CROPS * config.patches_per_image
        config.loss.crf = config.loss.beta  # As much as the map before.
    config.crf.iterations = 3
    config.learning_rate = 2e-4
    config.schedule = "cosine"
    config.warmup_steps = 30
    config.num_steps = 1000
    config.ema_decay = 0.99
    config.clip_norm = 1.0
    config.validate_every = 250
    config.checkpoint_every = 250
    return config
