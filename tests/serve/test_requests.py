"""What a visitor may ask for: the server with a worker that only pretends."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from splice_jax import cli
from splice_jax.errors import UserError
from splice_jax.serve import server
from splice_jax.serve.guard import allowed_hosts
from splice_jax.serve.limits import Limits
from splice_jax.serve.worker import Results
from tests.serve.visitor import Visitor, rows, visited

HOSTILE: list[str | bytes] = [
    "../../x",
    "<img src=x onerror=alert(1)>.jpg",
    "a" * 300,
    b"\xff\xfe.jpg",
    "\x00\n\u202egpj.exe",
    "",
]


class Pretender:
    """Examines nothing; waits for leave where it is asked to."""

    leave = threading.Event()
    given: list[tuple[str, bytes]] = []

    def __init__(self, load: Any, limits: Limits) -> None:
        self.rows = ["one"]

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.leave.set()

    def examine(self, name: str, encoded: bytes, progress: Any) -> Results:
        self.leave.wait(60)
        self.given.append((name, encoded))
        progress({"row": "one", "says": "nothing", "map": "", "seconds": 0})
        if encoded == b"broken":
            raise ZeroDivisionError("on purpose")
        return Results("Nothing unusual was found", "ordinary", b"<p>" + encoded, json.dumps({"name": name}).encode())


@pytest.fixture(autouse=True)
def _pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "Worker", Pretender)
    Pretender.leave.set()
    Pretender.given.clear()


@pytest.fixture
def visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """A visitor; afterwards, that not even the temporary folder ever held a name."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with visited(megabytes=1) as visitor:
        yield visitor
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_photograph_is_taken_and_its_results_come_back(visitor: Visitor) -> None:
    id = visitor.hand_in(b"photograph", "my photo.jpg")
    told = visitor.finished(id)
    assert (told["name"], told["state"], told["level"], told["of"]) == ("my photo.jpg", "done", "ordinary", 1)
    assert [row["row"] for row in told["rows"]] == ["one"]
    assert json.loads(visitor.get(f"/progress?of={id}:1&of=unknown:0").body) == {
        id: told | {"rows": []},
        "unknown": None,
    }
    assert visitor.get(f"/photographs/{id}.html").text == "<p>photograph"
    saved = visitor.get(f"/photographs/{id}.json?save")
    assert json.loads(saved.body) == {"name": "my photo.jpg"}
    assert saved.headers["content-disposition"] == f'attachment; filename="{id}.examination.json"'


@pytest.mark.parametrize("host", ["example.org", "example.org:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil", ""])
def test_a_foreign_host_is_refused(visitor: Visitor, host: str) -> None:
    for path in ("/", "/serve.js", "/progress?of=x", "/photographs/x.html", "/nothing", "/photographs"):
        answer = visitor.get(path, Host=host)
        assert answer.status in ((403,) if host else (400, 403)) and answer.text.count("\n") <= 1
        assert b"<html" not in answer.body


@pytest.mark.parametrize("origin", ["http://example.org", "null", "https://{place}", "http://{place}.evil.org", ""])
def test_a_foreign_origin_or_none_may_not_hand_anything_in(visitor: Visitor, origin: str) -> None:
    answer = visitor.upload(b"photograph", Origin=origin.format(place=visitor.place))
    assert (answer.status, answer.text) == (403, "only this page itself may ask for that\n")
    assert not Pretender.given


def test_all_names_of_this_machine_are_allowed(visitor: Visitor) -> None:
    port = visitor.place.split(":")[1]
    for name in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST"):
        host = f"{name}:{port}"
        assert visitor.get("/", Host=host).status == 200
        assert visitor.upload(b"photograph", Host=host, Origin=f"http://{host.lower()}").status == 202
    assert allowed_hosts(["[::1]"], 80) == {"[::1]:80", "[::1]"}


def test_an_upload_that_is_too_large_is_refused_with_the_reason(visitor: Visitor) -> None:
    reason = "over 1 MB, the most that this page takes; scale it down or cut it\n"
    assert visitor.upload(bytes(10**6)).status == 202
    assert visitor.upload(bytes(10**6 + 1))[::2] == (413, reason.encode())
    said_only = visitor.ask("POST", "/photographs", Content_Length=str(10**12))
    assert (said_only.status, said_only.text) == (413, reason)
    for nonsense in ("-1", "x"):
        assert visitor.ask("POST", "/photographs", Content_Length=nonsense).status in (400, 413)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_and_nothing_else(visitor: Visitor, tmp_path: Path, name: str | bytes) -> None:
    told = visitor.finished(visitor.hand_in(b"photograph", name))
    assert told["name"].isprintable() and 0 < len(told["name"]) <= 103
    assert told["state"] == "done"


def test_the_queue_is_bounded_and_beyond_it_the_program_is_busy() -> None:
    Pretender.leave.clear()
    with visited(waiting=3, kept=2) as visitor:
        ids = [visitor.hand_in(b"photograph") for _ in range(3)]
        answer = visitor.upload(b"photograph")
        assert (answer.status, answer.headers["retry-after"]) == (429, "2") and answer.text.startswith("busy")
        assert visitor.progress(ids[2])["ahead"] >= 1
        Pretender.leave.set()
        visitor.finished(ids[2])
        assert visitor.progress(ids[0]) is None  # Given up: only the results of the last two are kept.
        assert visitor.get(f"/photographs/{ids[0]}.html").status == 404
        assert visitor.upload(b"photograph").status == 202


def test_a_mistake_of_the_program_fails_one_photograph(visitor: Visitor, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(3) as threads:
        ids = list(threads.map(visitor.hand_in, [b"one", b"broken", b"two"]))
    told = [visitor.finished(id) for id in ids]
    assert [each["state"] for each in told] == ["done", "failed", "done"]
    assert told[1]["reason"] == "a mistake of this program ended the examination (ZeroDivisionError)"
    assert visitor.get(f"/photographs/{ids[1]}.html").status == 404
    assert "on purpose" in capsys.readouterr().err


def test_results_are_kept_where_that_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = tmp_path / "kept"
    with visited(keep=keep) as visitor:
        for name in HOSTILE:
            visitor.finished(visitor.hand_in(b"photograph", name))
    kept = sorted(path.name for path in keep.iterdir())
    assert len(kept) == 2 * len(HOSTILE) and [*tmp_path.iterdir()] == [keep]
    assert all(name.endswith((".examination.html", ".examination.json")) for name in kept)
    assert capsys.readouterr().err == ""


def test_answers_allow_no_other_site_anything(visitor: Visitor) -> None:
    id = visitor.hand_in(b"photograph")
    visitor.finished(id)
    for path in ("/", "/serve.js", "/serve.css", f"/photographs/{id}.html", f"/photographs/{id}.json", "/nothing"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "http" not in policy and "*" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
    assert "unsafe" not in visitor.get("/").headers["content-security-policy"]
    assert "sandbox" in visitor.get(f"/photographs/{id}.html").headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/serve.html", "/serve.py", "/photographs/x.html", "/photographs/../serve.js", "/%2e%2e/app.py"]
)
def test_nothing_else_is_served(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status == 404
    assert visitor.ask("DELETE", "/photographs/x.html").status == 405


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port=x"], "'x' is not a port"),
        (["--port=65536"], "is not a port"),
        (["--host=0.0.0.0", "--port=0"], "give the address or name that browsers will use"),
        (["--host=192.0.2.1", "--port=0"], "choose another --host or --port"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", *arguments])
    said = capsys.readouterr()
    assert caught.value.code == 2 and said.out == ""
    assert said.err.count("\n") == 1 and reason in said.err


def test_a_port_in_use_and_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with server.opened(rows, port=0) as running:
        port = int(running.address.rstrip("/").split(":")[-1])
        with pytest.raises(UserError, match="in use"), server.opened(rows, port=port):
            pass
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="no folder"), server.opened(rows, port=0, keep=tmp_path / "file"):
        pass
