"""Content Credentials (C2PA): what a signed manifest in the file says, where the extra `[c2pa]` is installed."""

import importlib
import importlib.util
import io
import json
from typing import Any

from splice_jax.errors import one_line, printable

NOT_INSTALLED = 'not read: install by pip install "splice_jax[c2pa]"'
NONE = "none in this file"
MOST_ACTIONS = 12


def read_credentials(encoded: bytes, kind: str) -> list[str]:
    """One line per statement of the file's manifest, or one line that says why there is none.

    Args:
        encoded: the file.
        kind: its format, as Pillow names it: `JPEG`, `PNG`, ...
    """
    if importlib.util.find_spec("c2pa") is None:
        return [NOT_INSTALLED]
    c2pa: Any = importlib.import_module("c2pa")
    try:
        with c2pa.Reader(f"image/{kind.lower()}", io.BytesIO(encoded)) as reader:
            manifest = json.loads(reader.json())
    except Exception as error:  # The library reports a missing manifest as an error, and hostile files as any other.
        absent = "ManifestNotFound" in f"{type(error).__name__} {error}"
        return [NONE if absent else f"cannot be read ({printable(one_line(error))})"]
    return statements(manifest)


def statements(store: dict[str, Any]) -> list[str]:
    """What a manifest store says about the file's active manifest: who signed, whether it holds, what was done."""
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signed = active.get("signature_info", {})
    lines = [
        f"signed by {printable(str(signed.get('issuer', 'an unnamed issuer')))}",
        f"made with {printable(str(active.get('claim_generator', 'an unnamed program')))}",
        f"the signature's state: {printable(str(store.get('validation_state', 'unknown')))}",
    ]
    actions = [
        printable(str(action.get("action")))
        for assertion in active.get("assertions", [])
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
    ]
    return lines + [f"action: {action}" for action in actions[:MOST_ACTIONS]]
