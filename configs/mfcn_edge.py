"""The network of configs/mfcn.py, its two maps combined: the surface within closed edges.

    python train.py --config=configs/mfcn_edge.py --workdir=runs/mfcn_edge --config.data_dir=splices
    python evaluate.py --workdir=runs/mfcn_edge

It is trained as `mfcn` is, and a run of either serves both (`evaluate.py --workdir=runs/mfcn
--config.method=mfcn_edge`); only the checkpoint that validation finds best may differ.
"""

from ml_collections import ConfigDict

from configs import mfcn


def get_config() -> ConfigDict:
    """Both decoders, read together."""
    config = mfcn.get_config()
    config.method = "mfcn_edge"
    return config
