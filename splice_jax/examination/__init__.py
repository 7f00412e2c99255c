"""The examination of one photograph: verdict, every row, the file's facts, as a page and as JSON."""

from splice_jax.examination.photograph import Examination as Examination
from splice_jax.examination.photograph import examine as examine
from splice_jax.examination.rows import load_rows as load_rows
