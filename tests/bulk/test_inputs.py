"""Names of all kinds, from lists and folders, and where their results go."""

import io
import os
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from splice_jax.bulk import inputs
from splice_jax.bulk.inputs import STEM, Shard, in_folder, in_list, stem_of
from splice_jax.errors import UserError

HOSTILE = [
    "/a/b.jpg", "/../../etc/passwd", "/x/..", "/x/...", "/x/.hidden", "/x/-rf", "/x/a\nb.jpg", "/x/caf\udce9.jpg",
    "/x/größe.jpg",     "/x/" + "n" * 300 + ".jpg", "/x/a b;$(id).jpg", "/x/\x1b[31m.jpg", "/x/\0.jpg", "/x/",
]  # fmt: skip


def read(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return list(in_list(str(path)))


def test_a_list_has_a_name_on_each_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    content = b"\xef\xbb\xbfa.jpg\r\n\n#b.jpg\n./c//d.jpg\n/e.jpg\ncaf\xe9.jpg"
    names = [f"{here}/a.jpg", f"{here}/#b.jpg", f"{here}/c/d.jpg", "/e.jpg", f"{here}/caf\udce9.jpg"]
    assert read(tmp_path / "list", content) == names
    assert read(tmp_path / "list", b"") == []


def test_zero_bytes_part_names_with_line_breaks(tmp_path):
    assert read(tmp_path / "list", b"/a\nb.jpg\0/c\r\0\0/d") == ["/a\nb.jpg", "/c\r", "/d"]


def test_dots_are_followed_through_links(tmp_path):
    (tmp_path / "far" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "below")
    assert read(tmp_path / "list", os.fsencode(tmp_path / "link" / ".." / "a.jpg")) == [str(tmp_path / "far" / "a.jpg")]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfea\0", "is in UTF-16; save it as UTF-8"), (b"a\n" + b"b" * 70_000, "name 2 has over 65,536 bytes")],
)
def test_what_is_no_list_is_refused(tmp_path, content, said):
    with pytest.raises(UserError, match=said):
        read(tmp_path / "list", content)
    with pytest.raises(UserError, match="cannot be read"):
        list(in_list(str(tmp_path / "none")))


def test_a_list_is_never_in_memory_and_one_without_end_is_left_early(tmp_path, monkeypatch):
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return b"/a.jpg\n" * ((size or 0) // 7)

    names = inputs._split(Endless(), "list")
    tracemalloc.start()
    for _ in range(80_000):
        next(names)
    assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    tracemalloc.stop()


def test_a_hole_of_a_terabyte_is_not_searched_for_names(tmp_path):
    path = tmp_path / "list"
    path.write_bytes(b"/a.jpg\n\n\n/b.jpg\n")
    os.truncate(path, 2**40)
    names = in_list(str(path))
    with pytest.raises(UserError, match="a mebibyte without a name"):
        list(names)


def test_stdin_is_a_list(monkeypatch, tmp_path):
    (tmp_path / "list").write_bytes(b"/a\n/b\n")
    with open(tmp_path / "list") as file:
        saved = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            assert list(in_list("-")) == ["/a", "/b"]
            os.fstat(0)  # It is left open.
        finally:
            os.dup2(saved, 0)
            os.close(saved)


def test_a_folder_is_searched_in_order_and_below(tmp_path):
    for name in ("b.jpg", "a.jpg", "sub/c.png", ".hidden.jpg", ".git/d.jpg", "out/e.jpg", "note.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"text")
    (tmp_path / "up").symlink_to(tmp_path)
    others = Counter[str]()
    found = list(in_folder(tmp_path, tmp_path / "out", others))
    assert found == [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "sub/c.png")]
    assert others == {".txt": 1}
    with pytest.raises(UserError, match="no folder"):
        list(in_folder(tmp_path / "a.jpg", tmp_path / "out", others))


def test_results_stay_below_their_folder_whatever_the_name(tmp_path):
    stems = [stem_of(position, name) for position, name in enumerate(HOSTILE)]
    assert len(set(stems)) == len(HOSTILE)
    for stem in stems:
        assert STEM.fullmatch(stem) and stem.isascii() and len(stem) < 80
        assert os.path.normpath(stem) == stem and not Path(stem).name.startswith(".")
        assert Path(os.path.realpath(tmp_path / stem)).parents[2] == Path(os.path.realpath(tmp_path))


def test_folders_have_a_bounded_size():
    folders = Counter(os.path.dirname(stem_of(position, f"/{position}")) for position in range(3500))
    assert list(folders.values()) == [1000, 1000, 1000, 500]
    assert stem_of(10**9 + 5, "/a").startswith("1000/000/a-")


def test_shards_have_every_image_once_whatever_its_position():
    images = [f"/photographs/{number}.jpg" for number in range(2000)]
    held = Counter(image for index in range(7) for image in images if Shard(index, 7).holds(image))
    assert set(held.values()) == {1} and len(held) == len(images)
    sizes = [sum(map(Shard(index, 7).holds, images)) for index in range(7)]
    assert min(sizes) > 200
    assert all(map(Shard().holds, images))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are files there")
def test_pipes_and_folders_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, said in (
        ("pipe.jpg", "a pipe or device"),
        (".", "a folder"),
        ("none.jpg", "cannot be opened"),
        ("\0", "null"),
    ):
        with pytest.raises(UserError, match=said):
            inputs.refuse_irregular(str(tmp_path / name))
