"""The released baseline as it is, defects included: every field at its faithful value.

X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
Fields", ECCV Workshops 2018, and their released PyTorch program.

    python train.py --config=configs/baseline.py --workdir=runs/baseline --config.dataset=folder --config.data_dir=DIR

is its `sgn`; `--config.global_network=resnet18 --config.global_weights=FILE` is its `res_sgn`, and
`--config.method=bappy` its `jcs`. Use it to reproduce the baseline's behaviour (the PyTorch program's steps, given the
same weights and batches), and to switch its defects off one at a time:

    --config.block_order=row                   blocks are decoded where they were encoded
    --config.input_normalization=residual      traces instead of [0, 1]
    --config.activation=leaky_relu             no dead bottleneck and no dead mask head
    --config.initialization=looks_linear       initial weights that do not make the signal fade
    --config.resnet_batch_norm=frozen          the frozen ResNet does not drift
    --config.global_normalization=imagenet     the ImageNet network sees inputs like those it was trained on
    --config.border=inward                     every pixel gets a prediction
    --config.loss.normalization=count          the paper's mean instead of PyTorch's
    --config.loss.smooth=0.1                   the paper's third term
    --config.patches_per_image=4               the global branch runs once per image, not once per patch

Its class weights are (1, 5) for Columbia, (1, 8) for Carvalho, (1, 50) for NC2016. Its README trains 60 epochs at 1e-4,
its script 120 epochs at 1e-3. Still as in this package: the split is seeded, thumbnails show the whole image (the
baseline crops images to whole patches in its training set, but not in its evaluation), and an incomplete last batch is
dropped.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def get_config() -> ConfigDict:
    """The baseline."""
    config = default.get_config()
    config.border = "crop"
    config.patches_per_image = 1
    config.augment = False
    config.input_normalization = "unit"
    config.activation = "relu"
    config.block_order = "column"
    config.global_normalization = "unit"
    config.cnn_output = "relu"
    config.resnet_batch_norm = "training"
    config.initialization = "baseline"
    config.loss.smooth = 0.0
    config.loss.class_weights = (1.0, 5.0)
    config.learning_rate = 1e-4
    config.crf.backend = "none"
    return config
