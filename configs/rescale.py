"""The paper's size (256 values, three LSTM layers) on splices whose donor was rescaled.

splice-jax compose PHOTOS --regions=SEGMENTATIONS --output=splices --count=1500 --recipe=rescale
python train.py --config=configs/rescale.py --workdir=runs/rescale --config.data_dir=splices
python evaluate.py --workdir=runs/rescale

What it reaches, and in how long, is in README.md.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Training on composed splices, at the paper's size."""
    config = default.get_config()
    config.dataset = "folder"
    config.patches_per_image = 8
    config.compute_dtype = "bfloat16"
    config.num_steps = 1400
    config.schedule = "cosine"
    config.warmup_steps = 100
    return config
