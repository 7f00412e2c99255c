"""Downloads from a server on this machine that speaks plain HTTP, to which the client's HTTPS is redirected."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from splice_jax.errors import UserError
from splice_jax.weights import download as module
from splice_jax.weights.download import download, is_url

CONTENT = bytes(range(256)) * 5000


class Plain(urllib3.connection.HTTPSConnection):
    """HTTPS without the S."""

    def connect(self) -> None:
        urllib3.connection.HTTPConnection.connect(self)
        self.is_verified = True


class Answers(BaseHTTPRequestHandler):
    """One kind of answer per path."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        host = self.headers["Host"]
        if kind == "absent":
            return self.send_error(404, "Not\x1b[31m there")
        if kind in ("moved", "downgraded", "local"):
            targets = {"moved": "https://{}/whole/other.npz", "downgraded": "http://{}/whole", "local": "file:///etc"}
            self.send_response(302)
            self.send_header("Location", targets[kind].format(host))
            return self.end_headers()
        self.send_response(200)
        if kind != "unannounced":
            self.send_header("Content-Length", str(len(CONTENT) + (kind == "short")))
        self.end_headers()
        if kind == "silent":
            self.server.released.wait(10)  # type: ignore[attr-defined]
        else:
            with contextlib.suppress(ConnectionError):  # of a client that has had enough
                self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server."""
    monkeypatch.setattr(urllib3.HTTPSConnectionPool, "ConnectionCls", Plain)
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as served:
        served.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{served.server_port}"
        served.released.set()  # type: ignore[attr-defined]
        served.shutdown()
        thread.join()


def refusal(url: str, folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        download(url, folder)
    message = str(caught.value)
    assert message.startswith(f"{url}: ") and message.isprintable()
    return message.removeprefix(f"{url}: ")


@pytest.mark.parametrize("kind", ["whole", "unannounced", "moved"])
def test_the_file_is_whole_and_under_its_own_name(
    kind: str, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = download(f"{server}/{kind}/my%20net-01234567.npz?download=true", tmp_path)
    assert path == tmp_path / "my net-01234567.npz"
    assert path.read_bytes() == CONTENT
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_the_progress(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    download(f"{server}/whole/a.npz", tmp_path)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("absent", "the server answers 404 (Not?[31m there); check the address"),
        ("short", "the connection ended after 1,280,000 of 1,280,001 bytes; try again"),
        ("downgraded", "is redirected to http://127.0.0.1"),
        ("local", "is redirected to file:///etc; only https is followed"),
        ("silent", "cannot be downloaded (timed out)"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(
    kind: str, message: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    assert refusal(f"{server}/{kind}/a.npz", tmp_path).startswith(message)


@pytest.mark.parametrize("kind", ["whole", "unannounced"])
def test_what_is_too_large_is_not_stored(
    kind: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    monkeypatch.setattr(module, "_CHUNK", 100)
    assert refusal(f"{server}/{kind}/a.npz", tmp_path).startswith("is larger than 1,000 bytes")
    assert (tmp_path / "a.npz").stat().st_size < 1200


def test_no_server_and_no_address(server: str, tmp_path: Path) -> None:
    assert "refused" in refusal("https://127.0.0.1:1/a.npz", tmp_path)
    for url in ("https://[::1/a.npz", "https://127.0.0.1:x/a.npz", f"{server}/whole/a%00.npz", f"{server}/whole/.."):
        assert refusal(url, tmp_path).startswith("cannot be downloaded (")


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.pth", "file:///etc/passwd", "ftp://127.0.0.1/a", "s3://a/b.pth"])
def test_other_protocols_are_refused(url: str, tmp_path: Path) -> None:
    assert is_url(url)
    assert refusal(url, tmp_path).startswith("is no https address; ")


def test_paths_are_no_addresses() -> None:
    assert not any(map(is_url, ("a.pth", "/tmp/a-b.pth", "https/a.pth", "C:\\a.pth")))
