"""Every configuration field, declared once: its default, role, range and meaning.

What an evaluation may change, what may change when a run is resumed, what a map depends on: all of it follows from
these declarations. Fields that only one network reads are declared with it, in `splice_jax.methods.trained`.
"""

from collections.abc import Sequence

from ml_collections import ConfigDict

from splice_jax.crf import CrfParameters
from splice_jax.data.sets.reading import ORIENTATIONS, USUAL
from splice_jax.methods import registry
from splice_jax.methods.fields import Field, check

_DATA = (
    Field("dataset", "synthetic", "data", "synthetic, folder, columbia, carvalho, nc2016"),
    Field(
        "data_dir",
        "",
        "data",
        "`folder`: DIR/{images,masks} or DIR/{train,val,test}/{images,masks}; others: where they were prepared",
    ),
    Field(
        "mask_pattern",
        USUAL.mask_pattern,
        "data",
        "`folder`: what a mask is called, {stem} being its image's name without suffix; for example {stem}_gt.png",
    ),
    Field(
        "mask_orientation",
        USUAL.mask_orientation,
        "data",
        "`folder`: stored or displayed, whichever masks were drawn on, where they and images differ in orientation; "
        "empty: such pairs are refused",
        ORIENTATIONS,
    ),
    Field(
        "skip_unreadable",
        USUAL.skip_unreadable,
        "data",
        "`folder`: leave out files that cannot be used; otherwise all of them are named, and the set is refused",
        (False, True),
    ),
    Field("split", "test", "evaluation", "what is scored"),
    Field(
        "split_seed",
        0,
        "data",
        "by which data sets that come in one piece are split 65 : 10 : 25",
        least=0,
        changes_score=False,
    ),
    Field(
        "patch_stride",
        64,
        "data",
        "pixels between neighbouring patches, in training and evaluation; below 64 they overlap",
        least=1,
        most=64,
        changes_map=True,
    ),
    Field(
        "orientations",
        1,
        "evaluation",
        "mirrored and transposed forms of an image whose maps are averaged; more than 1 for sgn and bappy only",
        (1, 2, 4, 8),
        changes_map=True,
    ),
    Field("augment", True, "optimisation", "random flips and transpositions of patches or crops", (False, True)),
)

REPORT_IMAGES = 300
"""A report with pictures of 1,000 images was 80 MB."""

_NETWORK = (Field("method", "sgn", "network", ", ".join(registry.trained_names())),)

_LOSS = (
    Field(
        "loss.normalization",
        "weight",
        "loss",
        "what weighted sums are divided by: count (the paper), weight (the baseline)",
        ("count", "weight"),
    ),
)

_OPTIMISATION = (
    Field(
        "seed",
        0,
        "optimisation",
        "of everything that is drawn, in training and in the bootstrap",
        least=0,
        most=2**32 - 1,
        changes_score=False,
        evaluated=True,
    ),
    Field(
        "init",
        "",
        "optimisation",
        "what training starts from: the folder of a run, or packaged, the model that comes with the package (sgt)",
    ),
    Field("batch_size", 64, "optimisation", "patches, crops or edges, over all devices", least=1),
    Field("num_epochs", 60, "optimisation", "how often the data are gone through", least=1),
    Field(
        "num_steps", 0, "optimisation", "where it is not 0, it counts and num_epochs does not", least=0, extendable=True
    ),
    Field("learning_rate", 1e-3, "optimisation", "at its highest", least=0),
    Field("optimizer", "adam", "optimisation", "sgd has momentum 0.9", ("adam", "adamw", "sgd")),
    Field("weight_decay", 0.0, "optimisation", "of kernels, added to their gradients (adamw: updates)", least=0),
    Field(
        "ema_decay",
        0.0,
        "optimisation",
        "of the parameters' moving average, which localizes in their place; 0: none",
        least=0,
        most=0.99999,
    ),
    Field("schedule", "step", "optimisation", "cosine goes down to zero", ("step", "cosine")),
    Field("drop_epochs", (20, 40), "optimisation", "of the schedule step"),
    Field("drop_factor", 0.1, "optimisation", "of the schedule step", least=0),
    Field("warmup_steps", 0, "optimisation", "of a linear warm-up", least=0),
    Field("clip_norm", 0.0, "optimisation", "gradients of a larger norm are scaled down to it; 0: never", least=0),
    Field(
        "validate_every", 500, "optimisation", "steps; the best checkpoint is one of these", least=1, extendable=True
    ),
    Field("validation_images", 20, "optimisation", "of the validation split, evenly taken", least=1),
)

_MACHINE = (
    Field("cpu_devices", 0, "machine", "devices that the CPU is divided into; 0: one per core", least=0),
    Field("log_every", 50, "machine", "steps between two lines of metrics.jsonl", least=1),
    Field("checkpoint_every", 500, "machine", "steps between two checkpoints to go on from", least=1),
)

_EVALUATION = (
    Field(
        "methods",
        "",
        "evaluation",
        "rows, separated by commas; empty: those of all runs, the run's own with CRF too",
        changes_score=False,
    ),
    Field(
        "runs",
        "",
        "evaluation",
        "other runs, whose rows stand beside, with this evaluation's patch_stride, orientations and CRF",
        changes_score=False,
    ),
    Field(
        "evaluation_name",
        "",
        "evaluation",
        "folder below WORKDIR/evaluation; empty: DATASET-SPLIT",
        changes_score=False,
    ),
    Field(
        "degradations",
        "",
        "evaluation",
        "every row under each as well, for example jpeg:90,70;blur:1,2;noise:4;resize:0.5",
        changes_score=False,
    ),
    Field("ignore_border", 0, "evaluation", "pixels this near to a mask's boundary do not count", least=0),
    Field(
        "report_images",
        REPORT_IMAGES,
        "evaluation",
        "the most images that the report has pictures of, spread evenly from best to worst",
        least=1,
        changes_score=False,
    ),
    Field(
        "rescore",
        False,
        "evaluation",
        "score the cached maps again; no network runs",
        (False, True),
        changes_score=False,
    ),
)

_CRF = (
    Field("crf.backend", "jax", "evaluation", "jax, pydensecrf, none"),
    Field(
        "crf.bilateral_weight", CrfParameters.bilateral_weight, "evaluation", "ω1, of the kernel in position and colour"
    ),
    Field("crf.bilateral_position_std", CrfParameters.bilateral_position_std, "evaluation", "σ_α, pixels"),
    Field("crf.bilateral_colour_std", CrfParameters.bilateral_colour_std, "evaluation", "σ_β, levels of 0 … 255"),
    Field(
        "crf.smoothness_weight", CrfParameters.smoothness_weight, "evaluation", "ω2, of the kernel in position alone"
    ),
    Field("crf.smoothness_position_std", CrfParameters.smoothness_position_std, "evaluation", "σ_γ, pixels"),
    Field("crf.iterations", CrfParameters.iterations, "evaluation", "mean-field steps"),
    Field("crf.max_megapixels", CrfParameters.max_megapixels, "evaluation", "larger images are refined at this size"),
    Field(
        "crf.neutral",
        CrfParameters.neutral,
        "evaluation",
        "the probability that speaks for neither label: half, or otsu, the map's own threshold",
    ),
)
"""`CrfParameters` checks their ranges where they are used."""

COMMON = (*_DATA, *_NETWORK, *_LOSS, *_OPTIMISATION, *_MACHINE, *_EVALUATION, *_CRF)
"""The fields that every method reads."""

FIELDS: dict[str, Field] = {
    field.name: field
    for fields in (COMMON, *(registry.family(method).fields for method in registry.trained_names()))
    for field in fields
}
"""All fields by name."""


def default_config() -> ConfigDict:
    """Every field at its default."""
    config = ConfigDict()
    for field in FIELDS.values():
        *sections, name = field.name.split(".")
        section = config
        for part in sections:
            if part not in section:
                section[part] = ConfigDict()
            section = section[part]
        section[name] = field.default
    return config


def check_config(config: ConfigDict) -> None:
    """Checks that training can do what a configuration asks for.

    Raises:
      UserError: a field's value is not one of its choices, or is out of range.
    """
    registry.family(config.method).check(config)
    check(config, COMMON)


def names(fields: Sequence[Field] | None = None, **properties: object) -> list[str]:
    """Names of the fields with these properties.

    >>> names(role="loss")[:3]
    ['loss.normalization', 'loss.beta', 'loss.smooth']
    """
    chosen = FIELDS.values() if fields is None else fields
    return [field.name for field in chosen if all(getattr(field, key) == value for key, value in properties.items())]


def _listed(*kinds: Sequence[str]) -> frozenset[str]:
    return frozenset(name for kind in kinds for name in kind)


TRAINED_WITH = _listed(*(names(role=role, evaluated=False) for role in ("network", "loss", "optimisation")))
"""Fields fixed by training; an evaluation cannot change them."""

CHANGEABLE = _listed(names(role="evaluation"), names(role="machine"), names(extendable=True))
"""Fields that may change when a run is resumed: training ignores them, or they only make it longer."""

SHAPES_MAPS = _listed(names(changes_map=True))
"""Fields that a map depends on, besides the weights, the image and the CRF."""

SAME_SCORE = _listed(names(role="machine"), names(changes_score=False))
"""Fields in which evaluations may differ and still have their scores averaged together."""

LOOKS_AT = (*(name for name in names(role="data") if name not in SHAPES_MAPS), "split")
"""Fields that say which images an evaluation looks at."""

LOOKS_CLOSELY = tuple(name for name in FIELDS if name in SHAPES_MAPS and name not in TRAINED_WITH)
"""Fields that say how closely an evaluation looks; the same for all rows whose network sees patches."""
