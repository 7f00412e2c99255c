"""The single-task network of Salloum, Ren & Kuo: as configs/mfcn.py, without the edge decoder.

    python train.py --config=configs/sfcn.py --workdir=runs/sfcn --config.data_dir=splices
    python evaluate.py --workdir=runs/sfcn

Every other field is as there.
"""

from ml_collections import ConfigDict

from configs import mfcn


def get_config() -> ConfigDict:
    """The surface decoder alone."""
    config = mfcn.get_config()
    config.method = "sfcn"
    return config
