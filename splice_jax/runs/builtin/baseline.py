"""The released baseline as it is, defects included: every faithful variant at once.

X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
Fields", ECCV Workshops 2018, and their released PyTorch program.

    python train.py --config=configs/baseline.py --workdir=runs/baseline --config.dataset=folder --config.data_dir=DIR

is its `sgn`; `--config.global_network=resnet18 --config.global_weights=FILE` its `res_sgn`, `--config.method=bappy`
its `jcs`. It is for reproducing the baseline's behaviour (from the same weights and batches, the PyTorch program's
steps), and for switching its defects off one at a time:

    --config.block_order=row                   blocks are decoded where they were encoded
    --config.input_normalization=residual      traces instead of [0, 1]
    --config.activation=leaky_relu             no dead bottleneck and no dead mask head
    --config.initialization=looks_linear       weights that start where the signal does not fade
    --config.resnet_batch_norm=frozen          the frozen ResNet does not drift
    --config.global_normalization=imagenet     the ImageNet network sees what it was trained on
    --config.border=inward                     every pixel gets a prediction
    --config.loss.normalization=count          the paper's mean instead of PyTorch's
    --config.loss.smooth=0.1                   the paper's third term
    --config.patches_per_image=4               the image's half once per image, not once per patch

Its class weights are (1, 5) for Columbia, (1, 8) for Carvalho, (1, 50) for NC2016. Its README trains 60 epochs at 1e-4,
its script 120 epochs at 1e-3. Left as they are here: the split is seeded, thumbnails are made of the whole image (the
baseline's training set is made from images cut to whole patches, its own evaluation is not), and a last batch that is
not full is left out.
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
