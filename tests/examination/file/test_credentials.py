"""Content Credentials, where the library is installed and where it is not."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

from splice_jax.examination.file.credentials import NONE, NOT_INSTALLED, read_credentials

STORE = """{"active_manifest": "a", "validation_state": "Valid", "manifests": {"a": {"claim_generator": "Cam/1",
"signature_info": {"issuer": "ACME"}, "assertions": [{"label": "c2pa.actions.v2", "data": {"actions":
[{"action": "c2pa.edited"}]}}]}}}"""


class Reader:
    """Gives the store, or fails as the library does."""

    def __init__(self, kind, stream):
        if stream.read() == b"bare":
            raise RuntimeError("ManifestNotFound: no JUMBF data found")
        if kind != "image/jpeg":
            raise ValueError("unsupported\ntype")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def json(self):
        return STORE


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: True if name == "c2pa" else find(name))
    monkeypatch.setitem(sys.modules, "c2pa", SimpleNamespace(Reader=Reader))


def test_one_line_says_how_to_get_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    assert read_credentials(b"", "JPEG") == [NOT_INSTALLED]


def test_the_manifest_is_told(installed: None) -> None:
    assert read_credentials(b"signed", "JPEG") == [
        "signed by ACME",
        "made with Cam/1",
        "the signature's state: Valid",
        "action: c2pa.edited",
    ]


def test_no_manifest_and_a_broken_one_are_told_apart(installed: None) -> None:
    assert read_credentials(b"bare", "JPEG") == [NONE]
    assert read_credentials(b"x", "BMP") == ["cannot be read (unsupported type)"]
