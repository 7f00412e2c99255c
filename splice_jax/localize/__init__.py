"""Localizing splices in image files: which images, with which methods, and what is written."""

from splice_jax.localize.batch import at_the_end as at_the_end
from splice_jax.localize.batch import localize_files as localize_files
from splice_jax.localize.bulk import Localize as Localize
from splice_jax.localize.inputs import find_images as find_images
from splice_jax.localize.rows import choose_rows as choose_rows
from splice_jax.localize.rows import load_rows as load_rows
