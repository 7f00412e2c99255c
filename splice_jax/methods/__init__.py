"""The methods of the comparison: each turns an image into a map of where it was spliced."""

from splice_jax.methods.localizer import Found as Found
from splice_jax.methods.localizer import Localizer as Localizer
from splice_jax.methods.localizer import Undefined as Undefined
from splice_jax.methods.registry import localizer as localizer
from splice_jax.methods.registry import names as names
from splice_jax.methods.registry import register as register
