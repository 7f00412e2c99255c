"""Edges blurred by a lens or by an editor (Chen, McCloskey & Yu 2017): `camera_response`."""
