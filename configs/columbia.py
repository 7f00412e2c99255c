"""The Semi-Global Network on the Columbia data set, by the paper's schedule and class weights.

X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
Fields", ECCV Workshops 2018. Data: Y.-F. Hsu and S.-F. Chang, ICME 2006.

    splice-jax prepare columbia --manual-dir=DIR --data-dir=data
    python train.py --config=configs/columbia.py --workdir=runs/columbia-0 --config.data_dir=data
    python evaluate.py --workdir=runs/columbia-0

`--config.split_seed=1 --config.seed=1` is another split and another start, for a mean and its spread. An evaluation
takes the run's own split; one by another seed would score images that were trained on.

Adam, learning rate 1e-4 (the released code's README; its script has 1e-3), a tenth of it from epochs 20 and 40 on, 60
epochs, batches of 64 patches, class weights 1 and 5. The paper's global network is an ImageNet ResNet-18, whose weights
do not come with the package; without them it is the small `cnn`, trained along:

    splice-jax weights FILE --output=resnet18.npz
    ... --config.global_network=resnet18 --config.global_weights=resnet18.npz

Expected time: 3.5 to 8.5 hours on one core, estimated from the 50 to 60 patches/s measured at this size on an AMD EPYC
core and from 108 to 216 patches in each of 117 images. No run on this data has been made by this project.

Published (F1 / MCC, on a split that is not known): without CRF .5956 / .5557, with CRF .6482 / .6403; Bappy et al.
.5270 / .5074, MFCN .6117 / .4792. Right patch labels / pixels: 89.72 / 83.90 %.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Training on Columbia."""
    config = default.get_config()
    config.dataset = "columbia"
    config.num_epochs = 60
    config.batch_size = 64
    config.learning_rate = 1e-4
    config.schedule = "step"
    config.drop_epochs = (20, 40)
    config.drop_factor = 0.1
    config.loss.class_weights = (1.0, 5.0)
    return config
