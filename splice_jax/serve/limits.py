"""What a visitor may ask for."""

from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of a served page."""

    megabytes: int = 64
    """Largest upload, in units of 10**6 bytes."""
    megapixels: int = 25
    """Largest photograph, in units of 10**6 pixels: memory and time grow with them."""
    scans: int = 100
    """Most scans of a JPEG: each is a pass over all pixels, and costs a hostile file only a few bytes."""
    seconds: int = 300
    """Longest examination of one photograph."""
    uploading: int = 120
    """Seconds that one upload may take."""
    waiting: int = 32
    """Photographs that may be uploading, waiting or in examination at the same time."""
    kept: int = 100
    """Finished photographs whose results are kept for the visitor; the oldest are given up first."""

    @property
    def bytes(self) -> int:
        """Largest upload in bytes."""
        return self.megabytes * 10**6
