"""The released PyTorch baseline, rewritten in this project's terms: the reference for parity and speed.

    python -m benchmarks.pytorch_baseline DIR --arch=sgn --output=FILE [--epochs=60] [--once-per-image]

trains on DIR/{images,masks} or DIR/train/{images,masks}. Modules carry the names of the released program (X. Cun and
C.-M. Pun, ECCV Workshops 2018), so that its checkpoints load here and vice versa. It does what the program does,
defects included; `configs/baseline.py` lists them. Images are uint8 RGB arrays throughout.
"""

import argparse
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

ARCHITECTURES = ("jcs", "sgn", "res_sgn")
PATCH, BLOCKS, THUMBNAIL, HIDDEN, GLOBAL = 64, 8, 224, 256, 256
BETA = 10.0
CLASS_WEIGHTS = (1.0, 5.0)  # Columbia
LEARNING_RATE, DROP_EPOCHS, DROP_FACTOR, BATCH = 1e-4, (20, 40), 0.1, 64

Arrays = dict[str, np.ndarray]
"""A batch: patches [n, 64, 64, 3], masks [n, 64, 64] and labels [n] with 1 = spliced, thumbnails [k, 224, 224, 3], and
image [n], the thumbnail of each patch."""


class Encoder(nn.Module):
    """From a patch to one LSTM output per 8x8 block; block columns from left to right, each from top to bottom."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, padding=2, bias=False)
        self.conv2 = nn.Conv2d(16, 1, 5, padding=2, bias=False)
        self.lstm = nn.LSTM((PATCH // BLOCKS) ** 2, HIDDEN, layers, batch_first=True)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """[n, 3, 64, 64] to [n, 64, 256]."""
        narrow = self.conv2(self.conv1(patches).relu()).relu()
        size = PATCH // BLOCKS
        blocks = narrow.reshape(-1, BLOCKS, size, BLOCKS, size).permute(0, 3, 1, 2, 4)
        return self.lstm(blocks.reshape(-1, BLOCKS**2, size**2))[0]


class MaskHead(nn.Module):
    """LSTM outputs as 16x16 tiles, row by row, to log-probabilities of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv3 = nn.Conv2d(1, 32, 5, padding=2, bias=False)
        self.conv4 = nn.Conv2d(32, 2, 5, padding=2, bias=False)
        self.conv5 = nn.Conv2d(2, 2, 5, padding=2, bias=False)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        """[n, 64, 256] to [n, 2, 64, 64]."""
        tile = math.isqrt(HIDDEN)
        tiles = sequence.reshape(-1, BLOCKS, BLOCKS, tile, tile).transpose(2, 3)
        cells = functional.max_pool2d(self.conv3(tiles.reshape(-1, 1, BLOCKS * tile, BLOCKS * tile)).relu(), 2)
        return self.conv5(self.conv4(cells).relu()).log_softmax(1)


class LabelHead(nn.Module):
    """The last LSTM output, and the global feature behind it, to log-probabilities of the patch."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2)

    def forward(self, *features: torch.Tensor) -> torch.Tensor:
        """[n, ...] each to [n, 2]."""
        return self.linear(torch.cat(features, 1)).log_softmax(1)


class BasicBlock(nn.Module):
    """ResNet's, named as in torchvision."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        residual = self.bn2(self.conv2(self.bn1(self.conv1(image)).relu()))
        shortcut = self.downsample(image) if hasattr(self, "downsample") else image
        return (residual + shortcut).relu()


def resnet18_features() -> nn.Sequential:
    """ResNet-18 up to its pooled features, [n, 3, h, w] to [n, 512, 1, 1]; its children in torchvision's order."""
    stages, inputs = [], 64
    for outputs in (64, 128, 256, 512):
        first = BasicBlock(inputs, outputs, 1 if inputs == outputs else 2)
        stages.append(nn.Sequential(first, BasicBlock(outputs, outputs, 1)))
        inputs = outputs
    stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1))


def cnn_features() -> nn.Sequential:
    """Five strided convolutions, each with a ReLU and all but the last with BatchNorm: to [n, 64, 7, 7]."""
    widths = (3, 16, 16, 32, 32, 64)
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers[:-1])


class GlobalNetwork(nn.Module):
    """A thumbnail to 256 values."""

    def __init__(self, features: nn.Sequential, size: int) -> None:
        super().__init__()
        self.global_network = features
        self.global_classification = nn.Linear(size, GLOBAL)

    def forward(self, thumbnails: torch.Tensor) -> torch.Tensor:
        """[k, 3, 224, 224] to [k, 256]."""
        return self.global_classification(self.global_network(thumbnails).flatten(1))


class Baseline(nn.Module):
    """`jcs` (Bappy et al. 2017), `sgn` (with a small global network) or `res_sgn` (with a frozen ResNet-18)."""

    def __init__(self, arch: str, layers: int = 3) -> None:
        super().__init__()
        self.arch = arch
        self.encode_lstm = Encoder(layers)
        if arch == "sgn":
            self.global_network = GlobalNetwork(cnn_features(), 64 * 7 * 7)
        elif arch == "res_sgn":
            self.global_network = GlobalNetwork(resnet18_features().requires_grad_(False), 512)
        self.classification = LabelHead(HIDDEN if arch == "jcs" else HIDDEN + GLOBAL)
        self.Segmentation = MaskHead()
        self.apply(_start)

    def forward(
        self, patches: torch.Tensor, thumbnails: torch.Tensor, image: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of the patches [n, 2] and of their pixels [n, 2, 64, 64].

        Args:
            patches: in [0, 1].
            thumbnails: in [0, 1], one per patch as in the released program, or with `image` one per image.
            image: the thumbnail of each patch.
        """
        sequence = self.encode_lstm(patches)
        features = [sequence[:, -1]]
        if self.arch != "jcs":
            feature = self.global_network(thumbnails)
            features.append(feature if image is None else feature[image])
        return self.classification(*features), self.Segmentation(sequence)


def _start(module: nn.Module) -> None:
    """Kaiming normal, BatchNorm about one; biases and the LSTM start as PyTorch starts them, the ResNet stays."""
    if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad:
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.BatchNorm2d) and module.weight.requires_grad:
        nn.init.normal_(module.weight, 1.0, 0.02)


def loss_terms(
    label: torch.Tensor,
    mask: torch.Tensor,
    labels: torch.Tensor,
    masks: torch.Tensor,
    class_weights: Sequence[float] = CLASS_WEIGHTS,
    beta: float = BETA,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss and its two terms, each a mean weighted by class: (total, of the labels, of the masks)."""
    weights = torch.tensor(class_weights, dtype=label.dtype, device=label.device)
    classification = functional.nll_loss(label, labels.long(), weights)
    segmentation = functional.nll_loss(mask, masks.long(), weights)
    return classification + beta * segmentation, classification, segmentation


def adam(model: nn.Module, learning_rate: float = LEARNING_RATE) -> torch.optim.Adam:
    """Of what is trained."""
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], learning_rate, (0.9, 0.999))


def schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.MultiStepLR:
    """Divides the rate by 10 at epochs 20 and 40; step it after each epoch."""
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, DROP_EPOCHS, DROP_FACTOR)


def to_input(images: np.ndarray) -> torch.Tensor:
    """uint8 [n, h, w, 3] to [n, 3, h, w] in [0, 1]; nothing else is normalized."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


def cut(image: np.ndarray) -> np.ndarray:
    """An image's whole patches, row by row, without any remainder: [rows, columns, 64, 64, ...]."""
    rows, columns = image.shape[0] // PATCH, image.shape[1] // PATCH
    whole = image[: rows * PATCH, : columns * PATCH]
    return whole.reshape(rows, PATCH, columns, PATCH, *image.shape[2:]).swapaxes(1, 2)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """The image at 224 x 224."""
    return np.array(Image.fromarray(image).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS))


def train_step(
    model: Baseline, optimizer: torch.optim.Optimizer, batch: Arrays, *, once_per_image: bool = False
) -> float:
    """One gradient step; returns the loss. The model has to be in training mode.

    Args:
        model: the network.
        optimizer: see `adam`.
        batch: see `Arrays`.
        once_per_image: whether the global network sees each thumbnail once, and not once per patch.
    """
    image = torch.from_numpy(batch["image"]).long()
    thumbnails = to_input(batch["thumbnails"])
    given = (thumbnails, image) if once_per_image else (thumbnails[image], None)
    label, mask = model(to_input(batch["patches"]), *given)
    targets = torch.from_numpy(batch["labels"]), torch.from_numpy(batch["masks"])
    total, _, _ = loss_terms(label, mask, *targets)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return total.item()


@torch.no_grad()
def localize(model: Baseline, image: np.ndarray, *, once_per_image: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that pixels [h, w] and patches [rows, columns] are spliced, cropped to whole patches."""
    grid = cut(image)
    rows, columns = grid.shape[:2]
    patches, seen = to_input(grid.reshape(-1, *grid.shape[2:])), to_input(thumbnail(image)[None])
    owner = torch.zeros(len(patches), dtype=torch.long)
    label, mask = model.eval()(patches, *((seen, owner) if once_per_image else (seen[owner], None)))
    maps = mask[:, 1].exp().numpy().reshape(rows, columns, PATCH, PATCH).swapaxes(1, 2)
    return maps.reshape(rows * PATCH, columns * PATCH), label[:, 1].exp().numpy().reshape(rows, columns)


def read_folder(folder: Path) -> Arrays:
    """All patches of the images in FOLDER/images, with the masks of the same stem in FOLDER/masks (255 = spliced)."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("patches", "masks", "thumbnails", "image")}
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        image = np.array(Image.open(path).convert("RGB"))
        patches = cut(image).reshape(-1, PATCH, PATCH, 3)
        columns["patches"].append(patches)
        columns["masks"].append(cut(np.array(Image.open(masks[path.stem]).convert("L"))).reshape(-1, PATCH, PATCH))
        columns["thumbnails"].append(thumbnail(image)[None])
        columns["image"].append(np.full(len(patches), number))
    data = {name: np.concatenate(column) for name, column in columns.items()}
    data["masks"] = (data["masks"] > 127).astype(np.uint8)
    return data | {"labels": (data["masks"].mean((1, 2)) > 7 / 8).astype(np.uint8)}


def batches(data: Arrays, random: np.random.Generator, size: int = BATCH) -> Iterator[Arrays]:
    """Every patch once, in random order, with each batch's thumbnails."""
    order = random.permutation(len(data["patches"]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        images, owner = np.unique(data["image"][rows], return_inverse=True)
        batch = {name: data[name][rows] for name in ("patches", "masks", "labels")}
        yield batch | {"thumbnails": data["thumbnails"][images], "image": owner}


def train_epoch(model: Baseline, optimizer: torch.optim.Optimizer, data: Iterable[Arrays], **options: bool) -> float:
    """The mean loss of one epoch. BatchNorm, the frozen ResNet's too, uses and gathers the statistics of batches."""
    model.train()
    return float(np.mean([train_step(model, optimizer, batch, **options) for batch in data]))


def checkpoint(model: Baseline, optimizer: torch.optim.Optimizer, epoch: int, best_acc: float = 0.0) -> dict[str, Any]:
    """A checkpoint as the released program saves it."""
    state = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    return {"epoch": epoch, "arch": model.arch, "best_acc": best_acc, **state}


def main() -> None:
    """Trains on a folder."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.pytorch_baseline", description=__doc__)
    flags.add_argument("folder", type=Path)
    flags.add_argument("--arch", choices=ARCHITECTURES, default="sgn")
    flags.add_argument("--output", type=Path, required=True, help="the checkpoint, written after each epoch")
    flags.add_argument("--weights", type=Path, help="torchvision's state_dict of ResNet-18, for res_sgn")
    flags.add_argument("--epochs", type=int, default=60)
    flags.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--once-per-image", action="store_true", help="run the global network once per image of a batch")
    given = flags.parse_args()
    torch.manual_seed(given.seed)
    random, model = np.random.default_rng(given.seed), Baseline(given.arch)
    if given.weights:
        load_resnet(model, torch.load(given.weights, weights_only=True))
    optimizer = adam(model, given.learning_rate)
    drops = schedule(optimizer)
    data = read_folder(given.folder / "train" if (given.folder / "train").is_dir() else given.folder)
    for epoch in range(1, given.epochs + 1):
        start = time.perf_counter()
        loss = train_epoch(model, optimizer, batches(data, random), once_per_image=given.once_per_image)
        drops.step()
        rate = len(data["patches"]) / (time.perf_counter() - start)
        print(f"epoch {epoch}/{given.epochs}: loss {loss:.4f}, {rate:.0f} patches/s", flush=True)
        torch.save(checkpoint(model, optimizer, epoch), given.output)


def load_resnet(model: Baseline, state: dict[str, torch.Tensor]) -> None:
    """Puts torchvision's ResNet-18 into a `res_sgn`, which numbers its children instead of naming them."""
    places = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    named = ((name.partition("."), tensor) for name, tensor in state.items() if not name.startswith("fc."))
    renamed = {f"{places[first]}.{rest}": tensor for (first, _, rest), tensor in named}
    model.global_network.global_network.load_state_dict(renamed)


if __name__ == "__main__":
    main()
