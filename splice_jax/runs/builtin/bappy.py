"""The network of Bappy et al. 2017, a rival of the Semi-Global Network: its local network alone.

J. H. Bappy, A. K. Roy-Chowdhury, J. Bunk, L. Nataraj and B. S. Manjunath, "Exploiting Spatial Structure for Localizing
Manipulated Image Regions", ICCV 2017.

    python train.py --config=configs/bappy.py --workdir=runs/bappy --config.data_dir=splices
    python evaluate.py --workdir=runs/bappy

Everything but the global branch is as in configs/histories.py, so the two can be compared. The paper adds the label
and mask losses with weight 1 (`--config.loss.beta=1`); the released baseline weights the mask loss by 10, as here. Nor
does it have the third term: `--config.loss.smooth=0`.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import histories


def get_config() -> ConfigDict:
    """Training on composed splices."""
    config = histories.get_config()
    config.method = "bappy"
    config.loss.smooth = 0.0
    return config
