"""Defines `sgn` and `bappy`: declares their fields, and makes their network, training and localizer.

X. Cun and C.-M. Pun, ECCV Workshops 2018, and J. H. Bappy et al., ICCV 2017: the same network without a global branch.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from splice_jax.errors import UserError
from splice_jax.methods.family import CRF_LAYER, Family, Refine, Training, Variables
from splice_jax.methods.fields import Field
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.registry import register_trained

if TYPE_CHECKING:  # The methods can be described without JAX.
    from jax import Array
    from ml_collections import ConfigDict

    from splice_jax.data import Split
    from splice_jax.models.semi_global import SemiGlobalNetwork

GLOBAL_NETWORKS = ("cnn", "resnet18", "none")


def _has_global(config: Mapping[str, Any]) -> bool:
    return config["method"] == "sgn" and config["global_network"] != "none"


def _has(network: str) -> Any:
    return lambda config: config["method"] == "sgn" and config["global_network"] == network


FIELDS = (
    Field("hidden_size", 256, "network", "of the LSTM: 256 (the paper), 64", (64, 256), changes_map=True),
    Field("num_layers", 3, "network", "of the LSTM", least=1, changes_map=True),
    Field(
        "input_normalization",
        "residual",
        "network",
        "of patches; unit is the baseline's",
        ("relative", "residual", "patch", "imagenet", "unit"),
        changes_map=True,
    ),
    Field(
        "activation",
        "leaky_relu",
        "network",
        "of the narrow convolutions; relu is the baseline's",
        ("leaky_relu", "relu"),
        changes_map=True,
    ),
    Field(
        "block_order",
        "row",
        "network",
        "in which blocks are read and written; column is the baseline's, which transposes them",
        ("row", "column"),
        changes_map=True,
    ),
    Field(
        "global_network",
        "cnn",
        "network",
        "cnn is trained, resnet18 (the paper's) is frozen and needs global_weights; only the label head sees either",
        GLOBAL_NETWORKS,
        changes_map=True,
        applies=lambda config: config["method"] == "sgn",
    ),
    Field("global_weights", "", "network", "of resnet18: a .npz of Flax variables", applies=_has("resnet18")),
    Field(
        "allow_random_weights",
        False,
        "network",
        "whether a resnet18 without global_weights may be frozen as it was drawn",
        (False, True),
        applies=_has("resnet18"),
    ),
    Field(
        "global_normalization",
        "imagenet",
        "network",
        "of the global network's thumbnails; unit is the baseline's",
        ("imagenet", "unit"),
        changes_map=True,
        applies=_has_global,
    ),
    Field(
        "cnn_output",
        "linear",
        "network",
        "of the cnn's last convolution; relu is the baseline's",
        ("linear", "relu"),
        changes_map=True,
        applies=_has("cnn"),
    ),
    Field(
        "resnet_batch_norm",
        "frozen",
        "network",
        "training is the baseline's: batch statistics, and running averages that drift",
        ("frozen", "training"),
        applies=_has("resnet18"),
    ),
    Field(
        "initialization",
        "looks_linear",
        "network",
        "of everything that is trained",
        ("looks_linear", "baseline"),
    ),
    Field(
        "compute_dtype",
        "float32",
        "network",
        "of the LSTM's products; sums and parameters are float32",
        ("float32", "bfloat16"),
        changes_map=True,
    ),
    Field(
        "border",
        "inward",
        "network",
        "what happens to a remainder that fills no patch: patches move inward, or crop (the baseline: scored as 0)",
        ("inward", "crop"),
        changes_map=True,
    ),
    Field(
        "patches_per_image",
        4,
        "optimisation",
        "patches of one image that stand in a batch together; with loss.crf a square number of neighbours, such as 16",
        least=1,
    ),
    Field("loss.beta", 10.0, "loss", "weight of the segmentation term", least=0),
    Field("loss.smooth", 0.1, "loss", "weight of the smooth term, |mean mask - label|: λ in the paper", least=0),
    Field("loss.class_weights", (1.0, 2.0), "loss", "W_n and W_s: of host and of spliced pixels and patches"),
    CRF_LAYER,
    Field(
        "resident_gigabytes",
        2.0,
        "machine",
        "on accelerators, tables of patches up to this size lie in each one's memory; sums may round differently",
        least=0,
    ),
)


class SemiGlobal(Family):
    """Networks that see an image patch by patch."""

    unit = "patches"
    fields = FIELDS
    published = MappingProxyType(
        {
            "hidden_size": 256,
            "num_layers": 3,
            "input_normalization": "unit",
            "activation": "relu",
            "block_order": "column",
            "global_network": "resnet18",
            "global_normalization": "unit",
            "cnn_output": "relu",
            "resnet_batch_norm": "training",
            "initialization": "baseline",
            "compute_dtype": "float32",
            "border": "crop",
        }
    )
    """The paper's size and global network; everything else as in the released program."""
    frozen: ClassVar[frozenset[str]] = frozenset({"resnet"})
    sees_patches = True

    def differences(self, config: "ConfigDict") -> list[str]:
        """As in the base class, plus whether the frozen ResNet-18 has random weights."""
        random = _random_resnet(config) and "imported" not in config  # An imported checkpoint brings its own.
        return super().differences(config) + ["ResNet-18 with random weights"] * random

    def check(self, config: "ConfigDict") -> None:
        """As in the base class; also checks that there is a weight for each of the two classes."""
        super().check(config)
        if len(config.loss.class_weights) != 2:
            raise UserError(f"config.loss.class_weights: {config.loss.class_weights} are not two weights, W_n and W_s")

    def network(self, config: "ConfigDict") -> "SemiGlobalNetwork":
        """The Semi-Global Network; for `bappy`, without its global branch."""
        from splice_jax.models.semi_global import SemiGlobalNetwork

        self.check(config)
        return SemiGlobalNetwork(
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            input_normalization=config.input_normalization,
            activation=config.activation,
            block_order=config.block_order,
            global_network="none" if config.method == "bappy" else config.global_network,
            global_normalization=config.global_normalization,
            cnn_output=config.cnn_output,
            resnet_batch_norm=config.resnet_batch_norm,
            initialization=config.initialization,
            compute_dtype=config.compute_dtype,
        )

    def initialize(self, network: "SemiGlobalNetwork", key: "Array") -> Variables:
        """As `models.semi_global.initial_variables`."""
        from splice_jax.models.semi_global import initial_variables

        return initial_variables(network, key)

    def initial_variables(self, network: "SemiGlobalNetwork", key: "Array") -> Variables:
        """As `models.semi_global.initial_variables`."""
        return self.initialize(network, key)

    def missing_weights(self, config: "ConfigDict") -> str:
        """A frozen, untrained ResNet-18 is useless, so it must be asked for explicitly."""
        if not _random_resnet(config) or config.allow_random_weights:
            return ""
        return (
            "config.global_weights: is empty, and a frozen ResNet-18 with random weights tells nothing; name the file "
            "that splice-jax weights made, or set config.allow_random_weights=True"
        )

    def with_weights(self, variables: Variables, config: "ConfigDict") -> Variables:
        """The variables, with the frozen network's weights from the file that `global_weights` names."""
        from splice_jax.weights.archive import load_variables

        if "resnet" not in variables["params"] or not config.global_weights:
            return variables
        frozen = {name: variables[name]["resnet"] for name in variables if "resnet" in variables[name]}
        loaded = load_variables(Path(config.global_weights), frozen)
        return variables | {name: variables[name] | {"resnet": loaded[name]} for name in frozen}

    def training(
        self, config: "ConfigDict", network: "SemiGlobalNetwork", variables: Variables, examples: "Split"
    ) -> Training:
        """Shuffled groups of patches from one image each, and the three-term loss."""
        from splice_jax.methods.trained.semi_global import training

        table = training.patch_table(config, examples)
        return training.training_from(config, network, table, training.backbone_features(network, variables, table))

    def localizer(
        self,
        config: "ConfigDict",
        network: "SemiGlobalNetwork",
        variables: Variables,
        *,
        row: str,
        refine: Refine | None = None,
    ) -> Localizer:
        """A localizer for the grid of patches that a configuration describes."""
        from splice_jax.methods.trained.semi_global.localizer import PatchNetworkLocalizer

        return PatchNetworkLocalizer(
            row,
            network,
            variables,
            stride=config.patch_stride,
            border=config.border,
            orientations=config.orientations,
            refine=refine,
        )


def _random_resnet(config: "ConfigDict") -> bool:
    return config.method == "sgn" and config.global_network == "resnet18" and not config.global_weights


FAMILY = SemiGlobal()
register_trained("sgn", FAMILY)
register_trained("bappy", FAMILY)
