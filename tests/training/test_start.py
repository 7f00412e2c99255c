"""What is refused before a run starts or goes on, and what may differ from its last start."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from splice_jax.errors import UserError
from splice_jax.training import loop
from splice_jax.training.loop import train

Configure = Callable[..., ConfigDict]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 6}, "batch_size: 6 is no multiple of patches_per_image x devices, 2 x 2"),
        ({"batch_size": 64}, "batch_size 64 is larger than the data: 25 patches"),
        ({"batch_size": 0}, "batch_size: 0 is less than 1"),
        ({"patches_per_image": 0}, "patches_per_image: 0 is less than 1"),
        ({"log_every": 0}, "log_every: 0 is less than 1"),
        ({"validate_every": 0}, "validate_every: 0 is less than 1"),
        ({"checkpoint_every": -1}, "checkpoint_every: -1 is less than 1"),
        ({"validation_images": 0}, "validation_images: 0 is less than 1"),
        ({"num_steps": 0, "num_epochs": 0}, "num_epochs: 0 is less than 1"),
        ({"num_steps": -1}, "num_steps: -1 is less than 0"),
        ({"warmup_steps": -1}, "warmup_steps: -1 is less than 0"),
        ({"clip_norm": -0.5}, "clip_norm: -0.5 is less than 0"),
        ({"cpu_devices": -2}, "cpu_devices: -2 is less than 0"),
        ({"seed": -1}, "seed: -1 is not from 0 to 4294967295"),
        ({"seed": 2**32}, "seed: 4294967296 is not from 0 to 4294967295"),
        ({"schedule": "linear"}, "schedule: 'linear' is none of step, cosine"),
        ({"loss": {"normalization": "sum"}}, "loss.normalization: 'sum' is none of count, weight"),
        ({"loss": {"class_weights": (1.0,)}}, r"loss.class_weights: \(1.0,\) are not two weights"),
        ({"hidden_size": 100}, "hidden_size: 100 is none of 64, 256"),
        ({"num_layers": 0}, "num_layers: 0 is less than 1"),
        ({"patch_stride": 100}, "patch_stride: 100 is not from 1 to 64"),
        ({"method": "noi1"}, "method: 'noi1' is none of sgn, bappy"),
        ({"global_network": "vgg"}, "global_network: 'vgg' is none of"),
    ],
)
def test_a_field_that_cannot_be_is_named_and_can_be_mended_in_the_same_workdir(
    tiny: Configure, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^config\.{message}") as caught:
        train(tiny(**changes), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_workdir_of_another_configuration_is_refused_with_the_fields(tiny: Configure, tiny_run: Any) -> None:
    before = (tiny_run.workdir / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"tiny: holds a run of another configuration") as caught:
        train(tiny(seed=1, loss={"beta": 5.0}), tiny_run.workdir)
    assert "(loss.beta was 10.0, seed was 0); choose a new workdir" in str(caught.value)
    assert (tiny_run.workdir / "config.json").read_bytes() == before


def test_what_only_an_evaluation_looks_at_may_change(tiny: Configure, tiny_run: Any) -> None:
    other = tiny(methods="random", evaluation_name="x", split="val", crf={"backend": "none", "iterations": 1})
    loop.check_workdir(other, tiny_run.workdir)
    with pytest.raises(UserError, match="method was 'sgn'"):
        loop.check_workdir(tiny(method="bappy"), tiny_run.workdir)


def test_a_field_that_came_or_went_is_another_configuration(tiny: Configure, tiny_run: Any) -> None:
    newer = tiny()
    newer.lookahead = 0.1
    with pytest.raises(UserError, match="lookahead was None"):
        loop.check_workdir(newer, tiny_run.workdir)


def test_a_workdir_that_cannot_be_written_to_is_named(
    tiny: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: no folder that can be written to"):
        train(tiny(), tmp_path / "file")
    # Permissions do not bind root, who runs many a test.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="run: no folder that can be written to .permission denied"):
        train(tiny(), tmp_path / "run")


def test_data_without_a_validation_split_are_named(tiny: Configure, splices: Path, tmp_path: Path) -> None:
    shutil.copytree(splices / "train", tmp_path / "data" / "train")
    with pytest.raises(UserError, match="data has no 'val'; it has train"):
        train(tiny(data_dir=str(tmp_path / "data")), tmp_path / "run")
    with pytest.raises(UserError, match="absent: no such folder"):
        train(tiny(data_dir=str(tmp_path / "absent")), tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_validation_images_are_decoded_once_and_no_more_than_asked_for(tiny: Configure) -> None:
    examples, validation = loop.training_data(tiny())
    assert len(examples) == 7
    assert [example.image.shape for example in validation] == [(64, 64, 3), (70, 130, 3)]
    assert len(loop.training_data(tiny(validation_images=1))[1]) == 1


def test_another_split_seed_is_another_run_but_another_split_to_score_is_not(tiny_run: Any, tiny: Configure) -> None:
    loop.check_workdir(tiny(split="val"), tiny_run.workdir)
    with pytest.raises(UserError, match="another configuration .split_seed was 0."):
        loop.check_workdir(tiny(split_seed=1), tiny_run.workdir)
