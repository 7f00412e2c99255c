"""Semi-Global Traces: finds splices in photographs from anywhere. The packaged model is trained by this configuration.

    splice-jax compose PHOTOS --regions=SEGMENTATIONS --recipe=wild --output=splices --count=16000
    python train.py --config=configs/sgt.py --workdir=runs/sgt --config.data_dir=splices
    python evaluate.py --workdir=runs/sgt

`make model` composes, trains three seeds and calibrates. Scores and training time are in docs/models.md. From the
packaged model on, with one's own splices: `--config.init=packaged --config.learning_rate=2e-4`.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def get_config() -> ConfigDict:
    """Training on composed splices and authentic photographs."""
    config = default.get_config()
    config.dataset = "folder"
    config.method = "sgt"
    config.batch_size = 16
    config.optimizer = "adamw"
    config.learning_rate = 1.2e-3
    config.weight_decay = 1e-3
    config.schedule = "cosine"
    config.warmup_steps = 300
    config.num_steps = 7500
    config.clip_norm = 1.0
    config.ema_decay = 0.999
    config.validate_every = 1000
    config.checkpoint_every = 500
    config.validation_images = 60
    return config
