"""Which images are localized, and where their results go."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.images import encode_png
from splice_jax.localize import find_images
from splice_jax.localize.results import named


def photograph(path: Path) -> Path:
    """Nothing here looks into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_folders_stand_for_their_images_and_each_counts_once(tmp_path):
    b, a = photograph(tmp_path / "in" / "b.JPG"), photograph(tmp_path / "in" / "a.tiff")
    photograph(tmp_path / "in" / "deeper" / "c.png")
    (tmp_path / "in" / "notes.txt").write_text("")
    found = find_images([tmp_path / "in", b, tmp_path / "absent.png"], tmp_path / "out")
    assert list(found.items()) == [
        (a, tmp_path / "out" / "a"),
        (b, tmp_path / "out" / "b"),
        (tmp_path / "absent.png", tmp_path / "out" / "absent"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no images in this folder"):
        find_images([tmp_path / "empty"], tmp_path / "out")


def test_names_that_collide_keep_their_extension(tmp_path):
    out, images = tmp_path / "out", [tmp_path / name for name in ("one/a.png", "b.png", "two/a.jpg", "a.jpeg")]
    assert list(find_images(images, out).values()) == [out / "a.png", out / "b", out / "a.jpg", out / "a.jpeg"]
    with pytest.raises(UserError, match=r"one/a.png and .*two/a.png: .* same names"):
        find_images([tmp_path / "one/a.png", tmp_path / "two/a.png"], out)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("..jpg", "..jpg"), ("...jpg", "...jpg"), (".jpg", ".jpg"), ("a.b.jpg", "a.b"), ("-x.jpg", "-x"), ("a", "a")],
)
def test_results_stay_in_the_output_folder_whatever_the_name(tmp_path, name, stem):
    image = tmp_path / "in" / name
    assert find_images([image], tmp_path / "out") == {image: tmp_path / "out" / stem}
    found = find_images([image], Path("."))[image]
    assert named(found, ".mask.png").parent == Path(".") and found.name == stem


def test_stdin_is_a_file_by_its_usual_name(tmp_path):
    assert find_images([Path("-")], tmp_path) == {Path("/dev/stdin"): tmp_path / "stdin"}


def test_images_are_told_by_content_and_the_others_are_counted(tmp_path):
    picture = encode_png(np.zeros((4, 4), np.uint8))
    for name in ("a.jfif", "b.heic", "c", "d.gif", "._a.jpg", ".hidden/e.png", "sub/f.dat"):
        photograph(tmp_path / name).write_bytes(picture)
    for name in ("notes.txt", "more.txt", "sub/table.csv"):
        photograph(tmp_path / name).write_text("text")
    others: Counter[str] = Counter()
    found = find_images([tmp_path], tmp_path / "out", recursive=True, passed_over=others)
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.jfif", "b.heic", "c", "d.gif", "sub/f.dat"]
    assert others == {".txt": 2, ".csv": 1}


def test_an_input_is_never_overwritten(tmp_path):
    images = [photograph(tmp_path / "a.png"), photograph(tmp_path / "a.mask.png")]
    with pytest.raises(UserError, match="a.mask.png: would be overwritten"):
        find_images(images, tmp_path)
    assert list(find_images(images, tmp_path / "out")) == images


def test_what_an_image_s_name_makes_of_a_result_is_no_danger_where_another_name_is_written(tmp_path):
    images = [photograph(tmp_path / "a.png"), photograph(tmp_path / "a.noi4.mask.png")]
    assert list(find_images(images, tmp_path)) == images
    with pytest.raises(UserError, match="a.noi4.mask.png: would be overwritten"):
        find_images(images, tmp_path, infixes=[".cfa1", ".noi4"])


def test_an_image_is_not_overwritten_by_way_of_a_link(tmp_path):
    images = [photograph(tmp_path / "in" / "a.png"), tmp_path / "in" / "linked.png"]
    images[1].symlink_to(photograph(tmp_path / "out" / "a.mask.png"))
    with pytest.raises(UserError, match="linked.png: would be overwritten"):
        find_images(images, tmp_path / "out")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    photograph(tmp_path / "in" / "a.mask.png")
    with pytest.raises(UserError, match="a.mask.png: would be overwritten"):
        find_images([tmp_path / "in"], tmp_path / "alias")


def test_subfolders_are_searched_on_request_and_mirrored(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    images = [photograph(folder / name) for name in ("b.jpg", "one/a.png", "one/deep/a.png", "two/a.png")]
    (folder / "empty").mkdir()
    stems = [output / name for name in ("b", "one/a", "one/deep/a", "two/a")]
    assert list(find_images([folder], output, recursive=True).items()) == list(zip(images, stems, strict=True))
    assert list(find_images([folder], output)) == images[:1]
    again = find_images([folder, images[1], folder / "two"], output, recursive=True)
    assert list(again.values()) == stems
    with pytest.raises(UserError, match="empty: no images in this folder or below it"):
        find_images([folder / "empty"], output, recursive=True)
    photograph(tmp_path / "other" / "two" / "a.png")
    with pytest.raises(UserError, match=r"in/two/a.png and .*other/two/a.png: .* same names"):
        find_images([folder, tmp_path / "other"], output, recursive=True)


def test_links_to_folders_are_not_followed(tmp_path):
    image = photograph(tmp_path / "in" / "a.png")
    photograph(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "in" / "out of it").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "folder.png").symlink_to(tmp_path / "elsewhere")
    assert list(find_images([tmp_path / "in"], tmp_path / "out", recursive=True)) == [image]
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert list(find_images([tmp_path / "link"], tmp_path / "out", recursive=True)) == [tmp_path / "link" / "a.png"]


def test_results_in_a_folder_given_are_no_images(tmp_path):
    image = photograph(tmp_path / "in" / "sub" / "a.png")
    for output in (tmp_path / "in" / "out", tmp_path / "in" / "sub" / "deeper" / "out"):
        photograph(output / "sub" / "a.mask.png")
    for output in ("out", "sub/../out"):
        found = find_images([tmp_path / "in"], tmp_path / "in" / output, recursive=True)
        assert list(found)[0] == image and len(found) == 2


def test_a_broken_link_is_an_image_that_cannot_be_read_and_not_passed_over(tmp_path):
    image, link = photograph(tmp_path / "in" / "b.png"), tmp_path / "in" / "a.png"
    link.symlink_to("absent.png")
    circle = tmp_path / "in" / "c.png"
    circle.symlink_to("c.png")
    (tmp_path / "in" / "notes").symlink_to("absent.txt")
    assert list(find_images([tmp_path / "in"], tmp_path / "out")) == [link, image, circle]
