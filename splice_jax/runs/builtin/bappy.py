"""The network of Bappy et al. 2017: the local network of the Semi-Global Network alone, which is a rival of it.

J. H. Bappy, A. K. Roy-Chowdhury, J. Bunk, L. Nataraj and B. S. Manjunath, "Exploiting Spatial Structure for Localizing
Manipulated Image Regions", ICCV 2017.

    python train.py --config=configs/bappy.py --workdir=runs/bappy --config.data_dir=splices
    python evaluate.py --workdir=runs/bappy

Everything but the global branch is as in configs/histories.py, so that the two can be compared. The paper adds the
losses of label and mask with weight 1 (`--config.loss.beta=1`); the released baseline weighs the mask by 10, as here.
It has no third term either: `--config.loss.smooth=0`.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import histories


def get_config() -> ConfigDict:
    """Training on composed splices."""
    config = histories.get_config()
    config.method = "bappy"
    config.loss.smooth = 0.0
    return config
