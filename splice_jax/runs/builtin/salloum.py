"""The fully convolutional networks of Salloum, Ren & Kuo 2018."""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def mfcn() -> ConfigDict:
    r"""The multi-task fully convolutional network of Salloum, Ren & Kuo: VGG-16 with a surface and an edge decoder.

    R. Salloum, Y. Ren and C.-C. J. Kuo, "Image Splicing Localization using a Multi-task Fully Convolutional Network
    (MFCN)", Journal of Visual Communication and Image Representation 51, 2018 (arXiv 1709.02016, 2017).

        python train.py --config=configs/mfcn.py --workdir=runs/mfcn --config.data_dir=splices \
            --config.trunk_weights=vgg16_bn.npz
        python evaluate.py --workdir=runs/mfcn
        python evaluate.py --workdir=runs/mfcn --config.methods=mfcn_edge    # the surface within closed edges

    `splice-jax weights` makes the file from torchvision's VGG-16 with BatchNorm. SGD, its rate, momentum and weight
    decay are the paper's, and meant for those weights; schedule, batch and crops are this project's. The paper's
    input is 0 … 255 minus the mean (`--config.trunk_normalization=vgg_mean`); torchvision's weights expect
    `imagenet`. The authors trained on CASIA v2 and tested on other data sets.

    From scratch on a small machine, use a narrow network and Adam:

        python train.py --config=configs/mfcn.py --workdir=runs/mfcn-small --config.data_dir=splices \
            --config.width=0.125 --config.optimizer=adam --config.learning_rate=2e-3 \
            --config.schedule=cosine --config.warmup_steps=50 \
            --config.crop_size=160 --config.batch_size=8 --config.num_steps=2000
    """
    config = default.get_config()
    config.dataset = "folder"
    config.method = "mfcn"
    config.optimizer = "sgd"
    config.learning_rate = 1e-4
    config.weight_decay = 5e-4
    config.crop_size = 256
    config.batch_size = 16
    config.loss.class_weights = (1.0, 1.0)  # not used: class weights follow from the training images' frequencies
    return config


def mfcn_edge() -> ConfigDict:
    """The network of configs/mfcn.py with its two maps combined: the surface within closed edges.

        python train.py --config=configs/mfcn_edge.py --workdir=runs/mfcn_edge --config.data_dir=splices
        python evaluate.py --workdir=runs/mfcn_edge

    Trained like `mfcn`, and a run of either holds both (`evaluate.py --workdir=runs/mfcn
    --config.methods=mfcn_edge`); only the checkpoint that validates best may differ.
    """
    config = mfcn()
    config.method = "mfcn_edge"
    return config


def sfcn() -> ConfigDict:
    """The single-task network of Salloum, Ren & Kuo: configs/mfcn.py without the edge decoder.

        python train.py --config=configs/sfcn.py --workdir=runs/sfcn --config.data_dir=splices
        python evaluate.py --workdir=runs/sfcn

    Every other field is the same.
    """
    config = mfcn()
    config.method = "sfcn"
    return config
