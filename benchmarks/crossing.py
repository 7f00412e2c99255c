"""Thousands of files, made by crossing formats, modes, sizes, orientations and damage, through the commands.

    python -m benchmarks.crossing [--files=2000] [--commands=2000]

The oracle is the array that a TIFF was written from by tifffile and imagecodecs, and what Pillow alone makes of all
other files; of a damaged file that is read, what the same libraries make of the damaged bytes. Counts go to stdout as
JSON: files, refused and why, pixels that differ, and the exit code, tracebacks and refusals of every command. `examine`
takes a sample of the files, as each takes it seconds.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps

from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_picture, silent_libtiff

SIZES = ((1, 1), (7, 5), (16, 16), (65, 97), (128, 96), (7, 5000), (1, 640), (200, 150))
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")
FORMATS: dict[str, tuple[dict[str, Any], ...]] = {
    "JPEG": ({}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"quality": 1}),
    "PNG": ({}, {"compress_level": 0}),
    "BMP": ({},),
    "GIF": ({},),
    "WEBP": ({"lossless": True}, {"quality": 60}),
    "AVIF": ({"quality": 80, "speed": 10},),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "jpeg"}),
}
PLANAR: tuple[dict[str, Any], ...] = tuple(
    {"planarconfig": planar, "byteorder": order, "compression": compression, "tile": tile}
    for planar in ("contig", "separate")
    for order in "<>"
    for compression in (None, "lzw", "deflate")
    for tile in (None, (16, 16))
)
DAMAGED, PLACES = 0.55, 50
EXAMINED = 60
"""So many files go through `examine`, evenly taken: each takes seconds."""


def undamaged(rng: np.random.Generator) -> tuple[str, bytes, np.ndarray]:
    """A file, its kind, and its pixels as the oracle sees them, upright: grey or RGB of 8 bits."""
    while True:
        found = _by_tifffile(rng) if rng.random() < 0.25 else _by_pillow(rng)
        if found is not None:
            return found


def _by_tifffile(rng: np.random.Generator) -> tuple[str, bytes, np.ndarray]:
    height, width = SIZES[rng.integers(len(SIZES))]
    channels, dtype = int(rng.choice([1, 2, 3, 4])), str(rng.choice(["u1", "u2"]))
    options = dict(PLANAR[rng.integers(len(PLANAR))])
    pixels = rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)
    if channels == 1:
        options["planarconfig"] = None
    data = pixels[..., 0] if channels == 1 else pixels
    data = np.moveaxis(pixels, 2, 0) if options["planarconfig"] == "separate" else data
    options |= {"photometric": "minisblack" if channels < 3 else "rgb", "metadata": None}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    file = io.BytesIO()
    tifffile.imwrite(file, data, **options)
    seen = pixels if dtype == "u1" else (pixels >> 8).astype(np.uint8)
    return f"TIFF {dtype}x{channels}", file.getvalue(), seen[..., :3] if channels >= 3 else seen[..., 0]


def _by_pillow(rng: np.random.Generator) -> tuple[str, bytes, np.ndarray] | None:
    form, mode = str(rng.choice(list(FORMATS))), str(rng.choice(MODES))
    height, width = SIZES[rng.integers(len(SIZES))]
    options = FORMATS[form][rng.integers(len(FORMATS[form]))]
    orientation = int(rng.integers(1, 9)) if form in ("JPEG", "PNG", "WEBP", "TIFF") and rng.random() < 0.5 else 1
    rgb = np.kron(rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    noisy = np.clip(rgb[:height, :width] + rng.integers(-9, 10, (height, width, 3)), 0, 255).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(noisy[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(noisy).convert(mode)
    file, exif = io.BytesIO(), Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
        options = options | {"exif": exif}
    try:
        with silent_libtiff():
            image.save(file, form, **options)
    except (OSError, ValueError, KeyError, RuntimeError):  # A mode that the format does not have.
        return None
    return f"{form} {mode}", file.getvalue(), oracle(file.getvalue())


def oracle(encoded: bytes) -> np.ndarray:
    """What Pillow alone makes of a file, upright; of 16 bits, the upper 8."""
    with Image.open(io.BytesIO(encoded)) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def tiff_oracle(encoded: bytes) -> np.ndarray:
    """What tifffile makes of a TIFF of grey or RGB; of 16 bits, the upper 8."""
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        page = file.pages[0].aspage()
        pixels = page.asarray()
        if page.axes not in ("YX", "YXS", "SYX") or page.photometric not in (1, 2) or page.bitspersample not in (8, 16):
            raise ValueError("of another kind")
    pixels = np.moveaxis(pixels, 0, 2) if page.axes == "SYX" else pixels
    pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return pixels if pixels.ndim == 2 else pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0]


def damaged(encoded: bytes, rng: np.random.Generator) -> bytes:
    """The file cut, or with a byte changed or a piece overwritten, at one of `PLACES` places."""
    place = 1 + int(rng.integers(PLACES)) * max(1, len(encoded) - 2) // PLACES
    kind = rng.integers(3)
    if kind == 0:
        return encoded[:place]
    length = 1 if kind == 1 else 64
    piece = rng.integers(0, 256, length, np.uint8).tobytes()
    return encoded[:place] + piece + encoded[place + length :]


def files(number: int, seed: int) -> Iterator[tuple[str, bytes, np.ndarray | None]]:
    """Kind, content and pixels of every file; None where it is damaged."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        kind, encoded, pixels = undamaged(rng)
        if rng.random() < DAMAGED:
            yield kind, damaged(encoded, rng), None
        else:
            yield kind, encoded, pixels


def check(kind: str, encoded: bytes, pixels: np.ndarray | None) -> str:
    """What became of a file: read, refused, or differs."""
    try:
        read = read_picture(encoded, name="x").pixels
    except UserError as error:
        return f"refused: {str(error).removeprefix('x: ')}"
    with warnings.catch_warnings(), silent_libtiff():
        warnings.simplefilter("ignore")
        if pixels is None:
            try:
                pixels = tiff_oracle(encoded) if "TIFF u" in kind else oracle(encoded)
            except Exception:  # Nobody else reads it either: nothing to compare with.
                return "read, damaged"
    read, wanted = (each if each.ndim == 3 else np.dstack([each] * 3) for each in (read, pixels))
    same = read.shape == wanted.shape and np.abs(read.astype(int) - wanted).max() <= (1 if "JPEG" in kind else 0)
    return "read" if same else "differs"


def commands(folder: Path, files_: list[Path]) -> dict[str, Any]:
    """Exit code and number of tracebacks of every command on the files."""
    data = folder / "set"
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
    for number, path in enumerate(files_):
        content = path.read_bytes()
        (data / "images" / f"{number:05d}{path.suffix}").write_bytes(content)
        mask = np.zeros((8, 8), bool)
        try:
            mask = np.zeros(read_picture(content).pixels.shape[:2], bool)
            mask[: max(1, mask.shape[0] // 2)] = True
        except UserError:
            pass
        (data / "masks" / f"{number:05d}.png").write_bytes(encode_png(mask))
    photos, few = folder / "files", folder / "few"
    few.mkdir()
    for path in files_[:: max(1, len(files_) // EXAMINED)][:EXAMINED]:
        (few / path.name).write_bytes(path.read_bytes())
    run = [sys.executable, "-c", "from splice_jax.cli import main; main()"]
    evaluate = ["evaluate", "--config=default", f"--workdir={folder / 'run'}", "--config.dataset=folder"]
    evaluate += [f"--config.data_dir={data}", "--config.methods=all_spliced", "--config.skip_unreadable=true"]
    calls = {
        "localize": ["localize", "--method=all_spliced", f"--output={folder / 'found'}", str(photos)],
        f"examine, {len(list(few.iterdir()))} files": ["examine", f"--output={folder / 'pages'}", str(few)],
        "compose": ["compose", str(photos), f"--output={folder / 'composed'}", "--count=20", "--workers=1"],
        "verify": ["verify", "folder", f"--data-dir={data}"],
        "verify --skip-unreadable": ["verify", "folder", f"--data-dir={data}", "--skip-unreadable"],
        "evaluate": evaluate,
    }
    found = {}
    for name, arguments in calls.items():
        print(name, file=sys.stderr, flush=True)
        done = subprocess.run([*run, *arguments], capture_output=True, text=True, errors="replace")
        said = done.stdout + done.stderr
        last = (done.stderr.strip().splitlines() or [""])[-1]
        refused = sum(line.startswith(("error: ", "warning: left out")) for line in done.stderr.splitlines())
        counts = {"exit": done.returncode, "tracebacks": said.count("Traceback"), "refused": refused}
        found[name] = counts | {"last": last[:160]}
    return found


def main() -> None:
    """Makes the files, checks them, runs the commands and prints the counts."""
    parser = argparse.ArgumentParser(description="Crosses formats, modes, sizes, orientations and damage.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", type=int, default=10**6, help="so many of the files go through the commands")
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    wrong, whole = [], 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "files").mkdir()
        made = []
        for number, (kind, encoded, pixels) in enumerate(files(arguments.files, arguments.seed)):
            outcome = check(kind, encoded, pixels)
            state = "damaged" if pixels is None else "undamaged"
            whole += pixels is not None
            outcomes[f"{state}: {outcome.split(':')[0]}"] += 1
            if outcome.startswith("refused"):
                reasons[f"{state}: {outcome[9:]}"[:110]] += 1
            elif outcome == "differs":
                wrong.append(f"{number} {kind} {state}")
            made.append(folder / "files" / f"{number:05d}.{kind.split()[0].lower()}")
            made[-1].write_bytes(encoded)
        chosen = made[: arguments.commands]
        for path in made[arguments.commands :]:
            path.unlink()
        ran = commands(folder, chosen) if chosen else {}
    counts = {"files": arguments.files, "undamaged": whole, "outcomes": outcomes, "differ": wrong[:40]}
    print(json.dumps(counts | {"commands": ran, "reasons": dict(reasons.most_common(70))}, indent=1))


if __name__ == "__main__":
    main()
