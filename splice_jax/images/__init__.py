"""Reading any photograph into one form, RGB with 8 bits per channel, reading masks, and writing PNG.

Pixels are interpreted as little as possible, because they are the evidence: alpha is dropped, not composited, so that
hidden colours are seen and none is invented; colour profiles are not applied; 16-bit values keep their upper 8 bits. Of
an animation the first picture is read, of a TIFF the first page that is no thumbnail. docs/input.md says what is
refused and why.
"""

from splice_jax.images.decoding import opened as opened
from splice_jax.images.decoding import refusal as refusal
from splice_jax.images.decoding import silent_libtiff as silent_libtiff
from splice_jax.images.formats import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from splice_jax.images.formats import Listing as Listing
from splice_jax.images.formats import images_in as images_in
from splice_jax.images.formats import is_image as is_image
from splice_jax.images.formats import listing as listing
from splice_jax.images.formats import told as told
from splice_jax.images.jpeg_markers import with_end as with_end
from splice_jax.images.masks import Mask as Mask
from splice_jax.images.masks import mask_of as mask_of
from splice_jax.images.masks import read_mask as read_mask
from splice_jax.images.orientation import as_stored as as_stored
from splice_jax.images.orientation import exif_orientation as exif_orientation
from splice_jax.images.orientation import upright as upright
from splice_jax.images.reading import Picture as Picture
from splice_jax.images.reading import in_colour as in_colour
from splice_jax.images.reading import most_bytes as most_bytes
from splice_jax.images.reading import pixels_stated as pixels_stated
from splice_jax.images.reading import read_image as read_image
from splice_jax.images.reading import read_picture as read_picture
from splice_jax.images.reading import whole_jpeg as whole_jpeg
from splice_jax.images.residual import residual_level as residual_level
from splice_jax.images.scaling import THUMBNAIL_SIZE as THUMBNAIL_SIZE
from splice_jax.images.scaling import nearest as nearest
from splice_jax.images.scaling import resize as resize
from splice_jax.images.scaling import resize_map as resize_map
from splice_jax.images.scaling import thumbnail as thumbnail
from splice_jax.images.writing import encode_png as encode_png
