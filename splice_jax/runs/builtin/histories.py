"""For real photographs: splices composed from your own, host and donor each with a processing history.

    splice-jax compose PHOTOS --regions=SEGMENTATIONS --output=splices --count=3750
    python train.py --config=configs/histories.py --workdir=runs/histories --config.data_dir=splices
    python evaluate.py --workdir=runs/histories --config.patch_stride=32 --config.orientations=8

A quarter of the paper's hidden size and one LSTM layer, so it sees several times as many patches in the same time. Its
scores and training time are in docs/results.md.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def get_config() -> ConfigDict:
    """Training on composed splices."""
    config = default.get_config()
    config.dataset = "folder"
    config.hidden_size = 64
    config.num_layers = 1
    config.input_normalization = "relative"
    config.patches_per_image = 8
    config.learning_rate = 3e-3
    config.num_steps = 3000
    config.schedule = "cosine"
    config.warmup_steps = 100
    config.crf.bilateral_weight = 2.0  # the CRF was chosen on 30 composed validation images, out of 8 candidates
    config.crf.bilateral_colour_std = 5.0
    config.crf.smoothness_weight = 1.0
    config.crf.neutral = "otsu"  # chosen on 24 composed validation images, out of 5
    return config
