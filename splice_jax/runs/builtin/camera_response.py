"""Tells natural from forged blur at edges by the camera's response (Chen, McCloskey & Yu).

C. Chen, S. McCloskey and J. Yu, "Image Splicing Detection via Camera Response Function Analysis", CVPR 2017.

    python train.py --config=configs/camera_response.py --workdir=runs/camera_response --config.data_dir=splices
    python evaluate.py --workdir=runs/camera_response

The paper judges edges and publishes no pixel scores; going from edges to a region is this project's own step, so
validation also reports `edge_auc`, the score of the edges. All constants in `splice_jax/data/feeding/edges.py` and
`edge_table.py` are this project's too.
"""

from ml_collections import ConfigDict

from splice_jax.runs.builtin import default


def get_config() -> ConfigDict:
    """Training on the edges of composed splices."""
    config = default.get_config()
    config.dataset = "folder"
    config.method = "camera_response"
    config.batch_size = 128
    config.num_steps = 3000
    config.schedule = "cosine"
    config.warmup_steps = 100
    config.weight_decay = 5e-4
    return config
