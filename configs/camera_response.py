"""Natural or forged blur at edges, by the camera's response (Chen, McCloskey & Yu).

Its source, its commands and what to expect of it: splice_jax/runs/builtin/camera_response.py.
"""

from splice_jax.runs.builtin import camera_response

get_config = camera_response.get_config
