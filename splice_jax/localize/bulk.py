"""Localizing as a bulk job."""

from pathlib import Path
from typing import Any, NamedTuple

from splice_jax import __version__
from splice_jax.bulk.tasks import DONE, SKIPPED, Made, Make
from splice_jax.errors import one_line
from splice_jax.files import read_bytes
from splice_jax.images import in_colour, read_picture, with_end
from splice_jax.localize.results import infixes, look, named, write_results
from splice_jax.localize.rows import Rows, load_rows
from splice_jax.methods.localizer import Localizer, Undefined
from splice_jax.methods.registry import PACKAGED


class Localize(NamedTuple):
    """A maker of what `localize` writes; the fields are its flags."""

    rows: Rows
    workdir: Path | None = None
    crf: str = "none"
    raw: bool = False

    def describe(self) -> dict[str, Any]:
        names = [*self.rows.of_run, *self.rows.without_run]
        packaged = any(name in PACKAGED for name in self.rows.without_run)
        made = made_by(self.workdir, packaged=packaged)
        return {"command": "localize", "rows": names, **made, "crf": self.crf, "raw": self.raw}

    def load(self) -> Make:
        localizers = load_rows(self.rows, self.workdir, crf=self.crf, labels=self.raw)

        def make(encoded: bytes, name: str, stem: Path) -> Made:
            return _make(encoded, name, stem, localizers, self.raw)

        return make


def made_by(workdir: Path | None, *, packaged: bool) -> dict[str, Any]:
    """What results depend on besides flags: the package's version, the packaged model if it is used, the run if any.

    Raises:
        UserError: there is no such run, or the packaged model is missing.
    """
    made: dict[str, Any] = {"version": __version__, "model": None, "workdir": None, "step": None}
    if packaged:
        from splice_jax.weights.packaged import CHECKSUM  # Loads JAX, which other rows do not need.

        made["model"] = read_bytes(CHECKSUM).decode("ascii").split()[0]
    if workdir is not None:
        from splice_jax.runs.checkpoints import BEST, Checkpoints
        from splice_jax.runs.configuration import load_run_config

        load_run_config(workdir)
        made |= {"workdir": str(workdir.absolute()), "step": Checkpoints(workdir, BEST, read_only=True).step}
    return made


def _make(encoded: bytes, name: str, stem: Path, localizers: list[Localizer], raw: bool) -> Made:
    """Writes the results of one image; skips it if no method can say anything about it."""
    picture = read_picture(encoded, name=name)
    pixels, whole = in_colour(picture.pixels), with_end(encoded)
    found: dict[str, dict[str, Any]] = {}
    undefined = []
    for localizer, infix in zip(localizers, infixes([each.name for each in localizers]), strict=True):
        try:
            seen = look(localizer, pixels, whole)
        except Undefined as reason:
            undefined.append(f"row {localizer.name}: {one_line(reason)}")
            continue
        write_results(named(stem, infix), pixels, seen, raw)
        marked = round(float(seen.mask.mean()), 6)
        found[localizer.name] = {"score": seen.score, "alarm": seen.alarm, "marked_share": marked}
    return Made(DONE if found else SKIPPED, "; ".join([*picture.notes, *undefined]), found)
