"""The rows of the comparison."""

from splice_jax.localizers import trivial as trivial
from splice_jax.localizers.base import Found as Found
from splice_jax.localizers.base import Localizer as Localizer
from splice_jax.localizers.base import Undefined as Undefined
from splice_jax.localizers.base import localizer as localizer
from splice_jax.localizers.base import names as names
from splice_jax.localizers.base import register as register
