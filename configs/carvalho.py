"""The Semi-Global Network on the Carvalho data set (DSO-1), by the paper's schedule and class weights.

X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
Fields", ECCV Workshops 2018. Data: T. Carvalho et al., IEEE TIFS 8(7), 2013.

    splice-jax prepare carvalho --manual-dir=DIR --data-dir=data
    python train.py --config=configs/carvalho.py --workdir=runs/carvalho-0 --config.data_dir=data
    python evaluate.py --workdir=runs/carvalho-0

As configs/columbia.py, which also says how other seeds and the ImageNet ResNet-18 are had, with class weights 1 and 8.

Expected time: 14 to 17 hours on one core, estimated from the 50 to 60 patches/s measured at this size on an AMD EPYC
core and from 768 patches in each of 65 images. No run on this data has been made by this project.

Published (F1 / MCC, on a split that is not known): without CRF .4236 / .3309, with CRF .5006 / .4379; Bappy et al.
.3102 / .1882, MFCN .4795 / .4074. Right patch labels / pixels: 83.69 / 75.10 %.
"""

from ml_collections import ConfigDict

from configs import columbia


def get_config() -> ConfigDict:
    """Training on DSO-1."""
    config = columbia.get_config()
    config.dataset = "carvalho"
    config.loss.class_weights = (1.0, 8.0)
    return config
