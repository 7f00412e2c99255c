"""What a bulk job makes of a photograph is what `examine` makes of it."""

import json

import numpy as np

from splice_jax.bulk.tasks import DONE
from splice_jax.examination.bulk import Examine
from splice_jax.examination.rows import Rows
from splice_jax.images import encode_png
from splice_jax.methods import localizer


def test_page_and_document_are_written_and_the_rows_figures_given(tmp_path, monkeypatch):
    chosen = Rows(None, [localizer("noi1"), localizer("adq1")])
    monkeypatch.setattr("splice_jax.examination.rows.load_rows", lambda workdir: chosen)
    content = encode_png(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    made = Examine().load()(content, "/photographs/a.png", tmp_path / "0000" / "a-0")
    assert made.status == DONE and made.reason
    assert sorted(path.name for path in (tmp_path / "0000").iterdir()) == [
        "a-0.examination.html",
        "a-0.examination.json",
    ]
    document = json.loads((tmp_path / "0000" / "a-0.examination.json").read_text())
    marked = {row["row"]: row["marked_share"] for row in document["rows"] if row["marked_share"] is not None}
    assert marked and {name: found["marked_share"] for name, found in made.found.items()} == marked
    assert Examine().describe()["command"] == "examine"
