"""The Semi-Global Network on the splices of NIST's Nimble Challenge 2016, by the paper's schedule and class weights.

X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
Fields", ECCV Workshops 2018. Data: NIST, Nimble Challenge 2016.

    splice-jax prepare nc2016 --manual-dir=DIR --data-dir=data
    python train.py --config=configs/nc2016.py --workdir=runs/nc2016-0 --config.data_dir=data
    python evaluate.py --workdir=runs/nc2016-0

As configs/columbia.py, which also says how other seeds and the ImageNet ResNet-18 are had, with class weights 1 and 50.

Expected time: 4 to 5 days on one core, estimated from the 50 to 60 patches/s measured at this size on an AMD EPYC core
and from the paper's 532,000 patches. No run on this data has been made by this project.

Published (F1 / MCC, on a split that is not known): without CRF .7174 / .7101, with CRF .7900 / .7847; Bappy et al.
.6242 / .6257, MFCN .5707 / .5703. Right patch labels / pixels: 97.81 / 89.60 %. The data set holds series of splices of
the same photograph: split image by image without regard to that, a network is tested on photographs that it was trained
on. Here a series stays in one split, so that scores are no comparison with those.
"""

from ml_collections import ConfigDict

from configs import columbia


def get_config() -> ConfigDict:
    """Training on the splices of NC2016."""
    config = columbia.get_config()
    config.dataset = "nc2016"
    config.loss.class_weights = (1.0, 50.0)
    return config
