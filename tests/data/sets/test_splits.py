from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data import open_split
from splice_jax.data.sets import splits
from splice_jax.data.sets.builders import manual_builder
from splice_jax.data.sets.builders.base import prepare
from splice_jax.data.sets.builders.manual import ManualBuilder
from splice_jax.data.sets.splits import Listed, Surveyed, draw, groups, patch_digests
from splice_jax.errors import UserError

HOSTS, SIDE = 24, 128


def noise(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columbia made up: two splices of each of 24 hosts, the hosts themselves, and a copy of one splice."""
    folder, data = tmp_path_factory.mktemp("columbia"), tmp_path_factory.mktemp("data")
    (folder / "4cam_splc/edgemask").mkdir(parents=True)
    (folder / "4cam_auth").mkdir()
    for number in range(2 * HOSTS):
        image = noise(number // 2)
        image[70:110, 5:45] = noise(1000 + number)[70:110, 5:45]
        save_splice(folder, f"splice{number:02}", image)
    save_splice(folder, "copy", image)
    for number in range(HOSTS):
        Image.fromarray(noise(number)).save(folder / f"4cam_auth/host{number:02}.tif")
    prepare(manual_builder("columbia", str(data), folder), "columbia")
    return data


def save_splice(folder: Path, name: str, image: np.ndarray) -> None:
    Image.fromarray(image).save(folder / f"4cam_splc/{name}.tif")
    mask = np.full((SIDE, SIDE, 3), (200, 0, 0), np.uint8)
    mask[70:110, 5:45] = (0, 200, 0)
    Image.fromarray(mask).save(folder / f"4cam_splc/edgemask/{name}_edgemask.jpg", quality=95)


@pytest.fixture
def builder(data_dir: Path) -> ManualBuilder:
    return manual_builder("columbia", str(data_dir))


def opened(data_dir: Path, seed: int, *, authentic: bool = True) -> dict[str, list[str]]:
    return {
        split: [
            example.name
            for example in open_split("columbia", str(data_dir), split, split_seed=seed, include_authentic=authentic)
        ]
        for split in splits.SHARES
    }


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_image_and_no_patch_is_in_two_splits(seed: int, data_dir: Path) -> None:
    seen: dict[bytes, str] = {}
    for split in splits.SHARES:
        for example in open_split("columbia", str(data_dir), split, split_seed=seed, include_authentic=True):
            for top in range(0, SIDE, 64):
                for left in range(0, SIDE, 64):
                    patch = example.image[top : top + 64, left : left + 64].tobytes()
                    assert seen.setdefault(patch, split) == split
    assert len(seen) < 4 * (3 * HOSTS + 1)  # some are in several images


def test_every_image_is_in_one_split_and_the_shares_are_kept(data_dir: Path) -> None:
    found = opened(data_dir, 0, authentic=False)
    names = [name for of_split in found.values() for name in of_split]
    assert sorted(names) == sorted([f"splice{number:02}" for number in range(2 * HOSTS)] + ["copy"])
    for split, share in splits.SHARES.items():
        assert abs(len(found[split]) - share * len(names)) <= 2
        assert found[split] == sorted(found[split])
    everything = open_split("columbia", str(data_dir), "all", include_authentic=True)
    assert [example.name for example in everything][-HOSTS:] == [f"host{number:02}" for number in range(HOSTS)]
    assert len(everything) == len(names) + HOSTS
    assert [example.authentic for example in everything] == [False] * len(names) + [True] * HOSTS


def test_a_seed_is_drawn_once_and_written_down(data_dir: Path, builder: ManualBuilder) -> None:
    path = splits.split_file(builder, 3)
    assert not path.exists()
    first = opened(data_dir, 3)
    written = path.read_text()
    assert opened(data_dir, 3) == first
    path.unlink()
    assert opened(data_dir, 3) == first and path.read_text() == written
    assert opened(data_dir, 4) != first
    lines = written.splitlines()
    assert lines[0] == "split,name" and len(lines) == 3 * HOSTS + 2
    assert {tuple(line.split(",")) for line in lines[1:]} == {(s, name) for s, of in first.items() for name in of}


def test_a_split_of_ones_own_is_used(data_dir: Path, builder: ManualBuilder) -> None:
    path = splits.split_file(builder, 99)
    path.parent.mkdir(exist_ok=True)  # where no other test has drawn a split yet
    names = [image.name for image in splits.image_list(builder)]
    own = dict.fromkeys(names, "train") | {"splice05": "val", "splice07": "test"}
    path.write_text("split,name\n" + "".join(f"{split},{name}\n" for name, split in own.items()))
    found = opened(data_dir, 99)
    assert found["val"] == ["splice05"] and found["test"] == ["splice07"]
    for broken, match in (
        ({"splice05": "dev"}, "splice05 must stand in it once each, in train, val, test"),
        ({"splice99": "val"}, "splice99 must stand in it"),
    ):
        path.write_text("split,name\n" + "".join(f"{split},{name}\n" for name, split in (own | broken).items()))
        with pytest.raises(UserError, match=match):
            opened(data_dir, 99)
    path.write_text("name\nsplice05\n")
    with pytest.raises(UserError, match="seed99.csv: has not the columns split, name"):
        opened(data_dir, 99)
    path.write_text("split,name\n" + "".join(f"train,{name}\n" for name in names))
    with pytest.raises(UserError, match="seed99.csv leaves no spliced image to 'val'"):
        opened(data_dir, 99)
    path.unlink()


def test_wrong_splits_and_seeds_are_named(data_dir: Path, builder: ManualBuilder) -> None:
    with pytest.raises(UserError, match="split: columbia has no 'dev'; it has train, val, test, all"):
        open_split("columbia", str(data_dir), "dev")
    with pytest.raises(UserError, match="split_seed: -1 is negative"):
        open_split("columbia", str(data_dir), "train", split_seed=-1)
    with pytest.raises(UserError, match="columbia is not prepared there; run splice-jax prepare columbia"):
        open_split("columbia", str(data_dir / "none"), "train")
    path = Path(builder.data_dir) / "images.csv"
    splits.image_list(builder)
    whole = path.read_text()
    path.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match="images.csv: does not list the images that are there; delete the file"):
        open_split("columbia", str(data_dir), "train")
    path.write_text("")
    with pytest.raises(UserError, match="images.csv: has not the columns part, name"):
        open_split("columbia", str(data_dir), "train")
    path.unlink()
    assert len(splits.image_list(builder)) == 3 * HOSTS + 1 and path.read_text() == whole


def test_an_identity_changes_with_split_and_seed(data_dir: Path) -> None:
    identities = {
        open_split("columbia", str(data_dir), split, split_seed=seed).identity
        for split, seed in (("train", 0), ("test", 0), ("train", 1), ("train", 0))
    }
    assert len(identities) == 3


def image(name: str, content: str, photographs: tuple[str, ...] = (), patches: tuple[int, ...] = ()) -> Surveyed:
    return Surveyed("whole", name, (64, 64), 0.1, content, photographs, patches)


def test_groups_join_what_shares_content_patches_or_photographs() -> None:
    found = groups(
        [
            image("a", "1", patches=(1, 2)),
            image("b", "2", ("x",), (3,)),
            image("c", "1"),
            image("d", "3", ("x", "y"), (4,)),
            image("e", "4", patches=(2, 4)),
            image("f", "5", ("z",), (5,)),
            image("g", "6"),
        ]
    )
    assert found.tolist() == [0, 0, 0, 0, 0, 1, 2]


def test_images_that_cannot_be_read_are_not_taken_for_the_same() -> None:
    assert groups([Surveyed("whole", "a", problem="x"), Surveyed("whole", "b", problem="x")]).tolist() == [0, 1]


def test_patches_are_told_apart_and_flat_ones_left_out() -> None:
    picture = noise(0, 200)  # nine whole patches
    picture[:64, :64] = 17
    found = patch_digests(picture)
    assert len(found) == len(set(found.tolist())) == 8
    moved = np.zeros_like(picture)
    moved[128:192, 64:128] = picture[64:128, 64:128]
    assert set(patch_digests(moved).tolist()) <= set(found.tolist()) and len(patch_digests(moved)) == 1
    moved[128, 64, 0] ^= 1
    assert not set(patch_digests(moved).tolist()) & set(found.tolist())
    assert len(patch_digests(noise(1, 63))) == 0


@pytest.mark.parametrize("number", [20, 100, 180, 280])
def test_images_without_relatives_are_split_exactly(number: int) -> None:
    images = [Listed("whole", i, str(i), str(i), i) for i in range(number)]
    images += [Listed("whole_authentic", i, f"a{i}", f"a{i}", number + i) for i in range(40)]
    drawn = draw(images, 5)
    expected = Counter({"train": 13, "val": 2, "test": 5})
    assert Counter(drawn[str(i)] for i in range(number)) == {s: c * number // 20 for s, c in expected.items()}
    assert Counter(drawn[f"a{i}"] for i in range(40)) == {s: 2 * c for s, c in expected.items()}
    assert drawn == draw(images, 5) != draw(images, 6)
    assert list(drawn) == [image.name for image in images]


def test_every_image_comes_to_be_tested_by_some_seed() -> None:
    images = [Listed("whole", i, str(i), str(i), i // 2) for i in range(40)]
    tested = {name for seed in range(40) for name, split in draw(images, seed).items() if split == "test"}
    assert len(tested) == 40
