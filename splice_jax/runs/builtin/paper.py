"""The Semi-Global Network on the paper's three data sets, with the paper's schedule and class weights."""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def columbia() -> ConfigDict:
    """The Semi-Global Network on the Columbia data set, with the paper's schedule and class weights.

    X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
    Fields", ECCV Workshops 2018. Data: Y.-F. Hsu and S.-F. Chang, ICME 2006.

        splice-jax prepare columbia --manual-dir=DIR --data-dir=data
        python train.py --config=configs/columbia.py --workdir=runs/columbia-0 --config.data_dir=data
        python evaluate.py --workdir=runs/columbia-0

    `--config.split_seed=1 --config.seed=1` gives another split and initialization, for a mean and its spread. An
    evaluation uses the run's own split; a split by another seed would score images that were trained on.

    Adam, learning rate 1e-4 (the released code's README; its script has 1e-3), divided by 10 at epochs 20 and 40,
    60 epochs, batches of 64 patches, class weights 1 and 5. The paper's global network is an ImageNet ResNet-18,
    whose weights do not come with the package; the default is the small `cnn`, trained with the rest. To use them:

        splice-jax weights FILE --output=resnet18.npz
        ... --config.global_network=resnet18 --config.global_weights=resnet18.npz

    Expected time: 3.5 to 8.5 hours on one core, estimated from the 50 to 60 patches/s measured at this size on an
    AMD EPYC core and from 108 to 216 patches in each of 117 images. No run on this data has been made by this
    project.

    Published (F1 / MCC, on a split that is not known): without CRF .5956 / .5557, with CRF .6482 / .6403; Bappy et al.
    .5270 / .5074, MFCN .6117 / .4792. Right patch labels / pixels: 89.72 / 83.90 %.
    """
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


def carvalho() -> ConfigDict:
    """The Semi-Global Network on the Carvalho data set (DSO-1), with the paper's schedule and class weights.

    X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
    Fields", ECCV Workshops 2018. Data: T. Carvalho et al., IEEE TIFS 8(7), 2013.

        splice-jax prepare carvalho --manual-dir=DIR --data-dir=data
        python train.py --config=configs/carvalho.py --workdir=runs/carvalho-0 --config.data_dir=data
        python evaluate.py --workdir=runs/carvalho-0

    As configs/columbia.py, which also explains other seeds and the ImageNet ResNet-18, but with class weights 1 and 8.

    Expected time: 14 to 17 hours on one core, estimated from the 50 to 60 patches/s measured at this size on an AMD
    EPYC core and from 768 patches in each of 65 images. No run on this data has been made by this project.

    Published (F1 / MCC, on a split that is not known): without CRF .4236 / .3309, with CRF .5006 / .4379; Bappy et al.
    .3102 / .1882, MFCN .4795 / .4074. Right patch labels / pixels: 83.69 / 75.10 %.
    """
    config = columbia()
    config.dataset = "carvalho"
    config.loss.class_weights = (1.0, 8.0)
    return config


def nc2016() -> ConfigDict:
    """The Semi-Global Network on NIST's Nimble Challenge 2016, with the paper's schedule and class weights.

    X. Cun and C.-M. Pun, "Image Splicing Localization via Semi-Global Network and Fully Connected Conditional Random
    Fields", ECCV Workshops 2018. Data: NIST, Nimble Challenge 2016.

        splice-jax prepare nc2016 --manual-dir=DIR --data-dir=data
        python train.py --config=configs/nc2016.py --workdir=runs/nc2016-0 --config.data_dir=data
        python evaluate.py --workdir=runs/nc2016-0

    As configs/columbia.py, which also explains other seeds and the ImageNet ResNet-18, but with class weights 1 and
    50.

    Expected time: 4 to 5 days on one core, estimated from the 50 to 60 patches/s measured at this size on an AMD
    EPYC core and from the paper's 532,000 patches. No run on this data has been made by this project.

    Published (F1 / MCC, on a split that is not known): without CRF .7174 / .7101, with CRF .7900 / .7847; Bappy et
    al. .6242 / .6257, MFCN .5707 / .5703. Right patch labels / pixels: 97.81 / 89.60 %. The data set holds series
    of splices of the same photograph; if images are split without regard to that, a network is tested on photographs
    it was trained on. Here a series stays in one split, so scores cannot be compared with the published ones.
    """
    config = columbia()
    config.dataset = "nc2016"
    config.loss.class_weights = (1.0, 50.0)
    return config
