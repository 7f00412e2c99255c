"""The paper's size (256 hidden values, three LSTM layers) on splices whose donor was only rescaled.

    splice-jax compose PHOTOS --regions=SEGMENTATIONS --output=splices --count=1500 --recipe=rescale
    python train.py --config=configs/rescale.py --workdir=runs/rescale --config.data_dir=splices
    python evaluate.py --workdir=runs/rescale

Its scores and training time are in docs/results.md.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import histories


def get_config() -> ConfigDict:
    """Training on composed splices, at the paper's size."""
    config = histories.get_config()
    config.hidden_size = 256
    config.num_layers = 3
    config.compute_dtype = "bfloat16"
    config.input_normalization = "residual"
    config.learning_rate = 2e-3
    config.num_steps = 4000
    config.crf.bilateral_weight = 1.0
    config.crf.neutral = "half"
    return config
