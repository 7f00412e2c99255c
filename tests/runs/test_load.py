import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax import cli
from splice_jax.crf import CrfParameters, refine
from splice_jax.errors import UserError
from splice_jax.images import encode_png
from splice_jax.runs.builtin.default import get_config
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints
from splice_jax.runs.configuration import load_config
from splice_jax.runs.load import load, load_rows, network_from_config

SIZES = ((64, 200), (64, 64), (150, 90))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), np.uint8)


def test_a_run_is_loaded_with_the_variables_of_its_best_checkpoint(tiny_run: Any) -> None:
    localizer = splice_jax.load(tiny_run.workdir)
    assert localizer.name == "sgn"
    best, _ = Checkpoints(tiny_run.workdir, BEST).restore(tiny_run.state.variables)
    jax.tree.map(np.testing.assert_array_equal, localizer.variables, best)
    assert set(localizer.variables) == {"params", "batch_stats"}


@pytest.mark.parametrize(("arguments", "as_commands"), [("", True), (", set_up=False", False)])
def test_in_a_fresh_process_a_run_uses_all_cores(
    tiny_run: Any, tmp_path: Path, arguments: str, as_commands: bool
) -> None:
    program = f"""
import splice_jax
localizer = splice_jax.load({str(tiny_run.workdir)!r}{arguments})
import jax
print(jax.local_device_count(), len(jax.tree.leaves(localizer.variables)[0].devices()))
print(jax.config.jax_compilation_cache_dir)
"""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    environment = inherited | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)}
    said = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment).split()
    cores = os.cpu_count() if as_commands else 1
    assert said[:2] == [str(cores)] * 2
    assert (said[2] != "None") == as_commands


def test_rows_of_a_run_share_its_variables(tiny_run: Any) -> None:
    first, second = load_rows(tiny_run.workdir, ["", "sgn"], labels=False)
    places = [
        [
            shard.data.unsafe_buffer_pointer()
            for leaf in jax.tree.leaves(row.variables)
            for shard in leaf.addressable_shards
        ]
        for row in (first, second)
    ]
    assert places[0] == places[1]
    assert not first.labels and not second.labels
    with pytest.raises(UserError, match="holds no row 'mfcn'; it has sgn"):
        load_rows(tiny_run.workdir, ["sgn", "mfcn"])


def test_loading_and_localizing_changes_nothing_in_the_run(tiny_run: Any) -> None:
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tiny_run.workdir.rglob("*")}

    before = state()
    load(str(tiny_run.workdir))(noise(64, 64))
    assert state() == before


def test_the_command_writes_the_very_maps_that_the_localizer_returns(tiny_run: Any, tmp_path: Path) -> None:
    photos, output = tmp_path / "photos", tmp_path / "maps"
    photos.mkdir()
    for height, width in SIZES:
        (photos / f"{height}x{width}.png").write_bytes(encode_png(noise(height, width)))
    argv = ["localize", str(photos), f"--workdir={tiny_run.workdir}", f"--output={output}", "--raw"]
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 0
    localizer = splice_jax.load(tiny_run.workdir)
    for height, width in SIZES:
        found = localizer(noise(height, width))
        with np.load(output / f"{height}x{width}.npz") as written:
            assert set(written.files) == {"probability", "mask", "label_probability", "valid"}
            for name in written.files:
                np.testing.assert_array_equal(written[name], getattr(found, name))
        assert found.probability.shape == (height, width)


@pytest.mark.parametrize("size", [(1, 1), (63, 200)])
def test_an_image_below_the_smallest_size_is_refused_with_its_size(
    tiny_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: tuple[int, int]
) -> None:
    photo = tmp_path / "small.png"
    photo.write_bytes(encode_png(noise(*size)))
    with pytest.raises(SystemExit) as caught:
        cli.main(["localize", str(photo), f"--workdir={tiny_run.workdir}", f"--output={tmp_path / 'maps'}"])
    said = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    least = f"row sgn needs an image of at least 64x64 pixels; this one has {size[1]}x{size[0]}"
    assert said[0] == f"error: {photo}: {least}"


def test_a_broken_photograph_and_a_bomb_do_not_stop_the_rest(
    tiny_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, bomb, good = (tmp_path / f"{name}.png" for name in ("broken", "bomb", "good"))
    good.write_bytes(encode_png(noise(64, 70)))
    broken.write_bytes(good.read_bytes()[:-500])
    Image.new("1", (10001, 10001)).save(bomb)
    paths = [str(path) for path in (broken, bomb, good)]
    with pytest.raises(SystemExit) as caught:
        cli.main(["localize", *paths, f"--workdir={tiny_run.workdir}", f"--output={tmp_path / 'maps'}"])
    said = capsys.readouterr()
    assert caught.value.code == 2
    assert [line.split(":")[1].strip() for line in said.err.splitlines()[:-1]] == paths[:2]
    assert said.err.splitlines()[-1] == "2 of 3 images failed"
    assert said.out.startswith(f"{good}: ") and said.out.count("\n") == 1
    assert {path.name.split(".")[0] for path in (tmp_path / "maps").iterdir()} == {"good", "summary"}


def test_with_a_crf_the_map_is_the_refined_one(tiny_run: Any) -> None:
    config = load_config(tiny_run.workdir)
    config.crf.iterations = 2
    image = noise(70, 90)
    plain, refined = load(tiny_run.workdir)(image), load(tiny_run.workdir, crf="jax", config=config)(image)
    expected = refine("jax", image, plain.probability, CrfParameters(iterations=2))
    np.testing.assert_array_equal(refined.probability, expected)
    np.testing.assert_array_equal(refined.mask, expected >= 0.5)
    np.testing.assert_array_equal(refined.label_probability, plain.label_probability)
    assert (refined.probability != plain.probability).any()


def test_the_grid_is_the_run_s_unless_a_configuration_is_given(tiny_run: Any) -> None:
    config = load_config(tiny_run.workdir)
    config.patch_stride = 32
    shapes = [load(tiny_run.workdir, config=given)(noise(64, 128)).label_probability for given in (None, config)]
    assert [shape.shape for shape in shapes if shape is not None] == [(1, 2), (1, 3)]


def test_what_is_no_trained_run_is_named(tmp_path: Path, tiny_run: Any) -> None:
    with pytest.raises(UserError, match="absent: no such folder"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match=r"no config.json in it, so it is not a run"):
        load(tmp_path)
    shutil.copy(tiny_run.workdir / "config.json", tmp_path)
    unfinished = (
        "holds no trained network yet; train it with splice-jax train --workdir=.*, at least to its first validation"
    )
    with pytest.raises(UserError, match=unfinished):
        load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    for kind in (LAST, BEST):  # as a run leaves them that was killed before its first validation
        Checkpoints(tmp_path, kind)
    Checkpoints(tmp_path, LAST).save(1, tiny_run.state, {})
    with pytest.raises(UserError, match=unfinished):
        load(tmp_path)
    with pytest.raises(UserError, match=r"crf.backend: 'dense' is not known"):
        load(tiny_run.workdir, crf="dense")


def test_a_checkpoint_of_another_network_is_named(tmp_path: Path, tiny_run: Any) -> None:
    run = shutil.copytree(tiny_run.workdir, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    for change in ({"hidden_size": 256}, {"num_layers": 2}, {"method": "bappy"}):
        (run / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match="does not fit the run's config.json"):
            load(run)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("method", "noi1", "config.method: 'noi1' is none of sgn, bappy"),
        ("global_network", "vgg", "config.global_network: 'vgg' is none of cnn, resnet18, none"),
        ("input_normalization", "zero", "'zero' is none of relative, residual, patch, imagenet, unit"),
        ("activation", "gelu", "config.activation: 'gelu' is none of leaky_relu, relu"),
        ("block_order", "spiral", "config.block_order: 'spiral' is none of row, column"),
        ("global_normalization", "none", "config.global_normalization: 'none' is none of imagenet, unit"),
        ("cnn_output", "tanh", "config.cnn_output: 'tanh' is none of linear, relu"),
        ("resnet_batch_norm", "drift", "config.resnet_batch_norm: 'drift' is none of frozen, training"),
        ("initialization", "zero", "config.initialization: 'zero' is none of looks_linear, baseline"),
        ("compute_dtype", "float16", "config.compute_dtype: 'float16' is none of float32, bfloat16"),
        ("border", "reflect", "config.border: 'reflect' is none of inward, crop"),
        ("hidden_size", 128, "config.hidden_size: 128 is none of 64, 256"),
        ("num_layers", 0, "config.num_layers: 0 is less than 1"),
        ("patch_stride", 0, "config.patch_stride: 0 is not from 1 to 64"),
        ("patch_stride", 65, "config.patch_stride: 65 is not from 1 to 64"),
    ],
)
def test_a_field_that_no_network_has_is_named(field: str, value: Any, message: str) -> None:
    config = get_config()
    config[field] = value
    with pytest.raises(UserError, match=message):
        network_from_config(config)


def test_a_network_has_the_configuration_s_fields_and_bappy_no_global_branch() -> None:
    config = get_config()
    config.update(hidden_size=64, num_layers=2, activation="relu", block_order="column", compute_dtype="bfloat16")
    network = network_from_config(config)
    for field in ("hidden_size", "num_layers", "activation", "block_order", "compute_dtype", "global_network"):
        assert getattr(network, field) == config[field]
    newer = {"global_normalization": "unit", "cnn_output": "relu", "resnet_batch_norm": "training"}
    newer["initialization"] = "baseline"
    config.update(newer)
    assert {field: getattr(network_from_config(config), field) for field in newer} == newer
    config.method = "bappy"
    assert network_from_config(config).global_network == "none"
