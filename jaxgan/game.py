"""The vocabulary of the suite: a GAN is a game in which players own networks and take turns.

`State` is the whole state of a run. A `Task` defines the players, their networks and losses. A `Phase` defines which
player moves, on which loss and how often. The update itself is implemented once, in `jaxgan.training.step`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from flax import struct

from jaxgan.errors import ArgumentError, UserError
from jaxgan.fields import Field as Field  # part of the vocabulary
from jaxgan.fields import Kind, frames, further_latents, name_of
from jaxgan.fields import Spec as Spec

Array = jax.Array
Params = Any  # a pytree of arrays
Variables = Any  # a pytree of arrays: batch statistics, spectral norm vectors
Batch = Mapping[str, Any]  # fields: image [B,H,W,C] in [-1,1], label [B], ...; fakes during a phase with a draw
Key = jax.Array

GENERATOR = "generator"  # the player that generates the fakes
DISCRIMINATOR = "discriminator"


class State(struct.PyTreeNode):
    """The whole state of a run as one pytree. It holds no random key: keys are folded from the seed, `rollbacks`,
    `step` and the phase. So a resumed run equals an uninterrupted one, and a rollback does not repeat the failure.
    """

    step: Array  # int32: rounds played
    images_seen: Array  # int32: real images (frames, of clips) shown to the networks; the clock of every schedule
    rollbacks: Array  # int32: returns to an older checkpoint; each halves the learning rates
    skipped: Array  # int32: turns skipped because of a NaN or an infinity
    skipped_in_a_row: Array  # int32: turns skipped since the last good round
    averaged_at: dict[str, Array]  # by averaged network, int32: images_seen when its EMA last moved
    params: dict[str, Params]  # by network
    variables: dict[str, Variables]  # by network
    opt_state: dict[str, Any]  # by player
    ema_params: dict[str, Params]  # by averaged network
    ema_variables: dict[str, Variables]  # by averaged network
    carry: dict[str, Any]  # the task's own memory: augmentation probability, path-length mean


class Aux(struct.PyTreeNode):
    """What a loss returns besides its value: `metrics`, new `variables` by network, new `carry` by name."""

    metrics: dict[str, Array] = struct.field(default_factory=dict)
    variables: dict[str, Variables] = struct.field(default_factory=dict)
    carry: dict[str, Any] = struct.field(default_factory=dict)


class Judgement(struct.PyTreeNode):
    """What a discriminator returns.

    `logits` is a pytree of `[B, ...]`: one number per image, a patch map, or several scales.
    """

    logits: Any
    features: Any = None
    class_logits: Array | None = None


@dataclasses.dataclass(frozen=True)
class Critic:
    """The view of a discriminator that a regularizer gets: inputs (a pytree of `[B, ...]`) -> logits `[B / rows, ...]`.

    `rows` consecutive rows of the inputs, a pack, share a logit.
    """

    judge: Callable[..., Any]  # (inputs) or (inputs, given) -> logits
    rows: int = 1

    def __call__(self, inputs: Any, *given: Any) -> Any:
        """The logits of `inputs`, under the conditions of the current turn or under `given`."""
        return self.judge(inputs, *given)


CriticLike = Critic | Callable[[Any], Any]  # a plain function returns one logit per row


def rows_of(critic: CriticLike) -> int:
    """How many consecutive rows of the inputs share a logit."""
    return getattr(critic, "rows", 1)


class Network(Protocol):
    """What players own: a Flax module, or an object with these two methods of it."""

    def init(self, *args: Any, **options: Any) -> Any:
        """The variables, including `params`; only the shapes of the inputs matter."""
        ...

    def apply(self, variables: Any, *args: Any, **options: Any) -> Any:
        """The outputs; with `mutable`, also the updated variables."""
        ...


class AdversarialLoss(NamedTuple):
    """A pair of pure elementwise functions of `(real_logits, fake_logits)`, one for each player.

    Both take both logits, so relativistic losses have the same signature as all others.
    """

    discriminator: Callable[..., Any]
    generator: Callable[..., Any]


class JudgementLoss(AdversarialLoss):
    """A pair of pure functions of `(real: Judgement, fake: Judgement, given)`, one for each player.

    For discriminators that do not score real against fake, such as those that classify pixels. Both return losses
    `[B, ...]`, or a pytree of them.
    """


Loss = Callable[[State, Batch, Key], tuple[Array, Aux]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """Which player moves, on which loss, how often, and during which part of the run.

    `loss` gets a state that holds the moving player's differentiated params. `drawn_by` names the player whose draw the
    loss gets as the field `fakes` of its batch; None: no draw. Phases of one round share a draw if they have the same
    `drawn_by`, `start` and `stop`. A phase is due at every `every`-th step while `start <= images_seen < stop`; the
    traced `gate` can skip the player's turn. With `fresh`, the player's optimizer resets its moments at its first turn
    in the stage that begins at `start`. `enter` changes the state on the host, once, before the first round at which
    the phase may be due, for example to initialize a network as a copy of another. A `lazy` phase regularizes: its
    steps are taken in addition to those of the main phases, whose steps are shortened for it (see
    `jaxgan.training.optimizers.lazy_correction`).
    """

    name: str
    player: str
    loss: Loss
    weight: float = 1.0
    every: int = 1
    lazy: bool = False
    start: int = 0
    stop: int | None = None
    gate: Callable[[State], Array] | None = None
    drawn_by: str | None = None
    fresh: bool = False
    enter: Callable[[State], State] | None = None


class Task(Protocol):
    """The objectives of the players. A task defines networks and losses; it never updates a parameter.

    A task whose draws use networks that the drawing player does not own also implements `Drawing`.
    """

    @property
    def asks(self) -> Spec:
        """The fields that it asks the data for."""
        ...

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """The networks that each player owns. A network without an owner is frozen: it has params only."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """The networks whose weights are averaged, and delivered as the average; each has an owner. May be empty."""
        ...

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 without labels."""
        ...

    @property
    def products(self) -> Mapping[str, Product]:
        """The callables made of the trained networks, by name; the first is the default."""
        ...

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables by network for the shapes of `batch`; works under `jax.eval_shape`."""
        ...

    def init_carry(self) -> dict[str, Any]:
        """The task's own memory at the start of a run."""
        ...

    def phases(self) -> tuple[Phase, ...]:
        """The phases of one round, in order."""
        ...

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Any, dict[str, Variables]]:
        """The forward pass of player `phase.drawn_by`: fakes, and the variables that its networks keep on its own turn.

        `phase` is any of the phases that share the draw; its `start` and `stop` identify the stage.
        """
        ...


@runtime_checkable
class Drawing(Protocol):
    """A task that names the networks a draw uses. A draw is stale once one of them was updated."""

    def drawn_with(self, player: str) -> tuple[str, ...]:
        """The networks that the draw of this player uses."""
        ...


@runtime_checkable
class Sparse(Protocol):
    """A task whose networks see only `frames_seen` frames of each clip in a round; None: all frames."""

    frames_seen: int | None


def images_shown(task: Task, spec: Spec) -> int:
    """How many images of an example the networks see in a round: by how much `images_seen` advances per example."""
    seen = task.frames_seen if isinstance(task, Sparse) else None
    return frames(spec) if seen is None else seen


def drawn_with(task: Task, player: str) -> tuple[str, ...]:
    """The networks that the draw of a player uses: its own, unless the task implements `Drawing`."""
    return task.drawn_with(player) if isinstance(task, Drawing) else tuple(task.players[player])


class Augmentation(Protocol):
    """Random transforms of all images that a discriminator sees, applied with a probability that may adapt."""

    def init_memory(self) -> dict[str, Any]:
        """The initial memory; empty if nothing adapts."""
        ...

    def probability(self, memory: Mapping[str, Any], images_seen: Array | int) -> Array:
        """The probability of its transforms, a scalar."""
        ...

    def update(self, memory: Mapping[str, Any], real_logits: Array, *, batch_size: int, step: Array) -> dict[str, Any]:
        """The memory after a turn of the discriminator, given the mean logits `[B]` of the reals."""
        ...

    def __call__(self, key: Key, images: Array, probability: Array | float) -> Array:
        """Augments images `[B,H,W,C]`, or clips `[B,T,H,W,C]` with the same transform for all frames of a clip.

        Deterministic in `key`.
        """
        ...


class Degradation(Protocol):
    """Turns an image `[B,H,W,C]` into the condition `[B,H/s,W/s,C']` from which it is to be restored.

    Clips `[B,T,H,W,C]` are degraded too if clips are restored: each like one image, but with new noise in each frame.
    """

    @property
    def scale(self) -> int:
        """Image pixels per condition pixel, along a side."""
        ...

    @property
    def masks(self) -> bool:
        """Whether the condition's last channel is a mask: 1 for pixels to fill in, 0 for known ones."""
        ...

    @property
    def label(self) -> str:
        """A short name, such as `bicubic_x2`, used in the names of scores."""
        ...

    def describe(self) -> str:
        """One sentence for users of a network that was trained for it."""
        ...

    def __call__(self, key: Key, image: Array) -> Array:
        """The condition; deterministic in `key`."""
        ...


class Weights(NamedTuple):
    """Params and variables, each by network."""

    params: Mapping[str, Params]
    variables: Mapping[str, Variables]

    def of(self, networks: Iterable[str]) -> Weights:
        """The weights of some networks."""
        names = tuple(networks)
        return Weights(*({name: trees[name] for name in names} for trees in self))


def playing(state: State, networks: Iterable[str]) -> Weights:
    """The current (not averaged) weights of networks."""
    return Weights(state.params, state.variables).of(networks)


def delivered(state: State, networks: Iterable[str]) -> Weights:
    """The weights to use networks with: the average if one is kept, else the current weights."""
    variables = {**state.variables, **state.ema_variables}
    return Weights({**state.params, **state.ema_params}, variables).of(networks)


Asked = Mapping[str, Any]  # arrays `[B, ...]` by the names of the fields asked for; optional ones may be absent
Made = dict[str, Any]  # arrays by the names of the fields given
Memory = Any  # a pytree of arrays `[B, ...]`; None for products without memory


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """A trained model as one pure, deterministic function, with the fields that it asks for and gives.

    Pixels are float32 in [-1, 1]. A field of kind `number` named `truncation` is a scalar that trades variety for image
    quality. A recurrent product has `begin`, and passes its memory from each frame to the next.
    """

    asks: Spec
    gives: Spec
    networks: tuple[str, ...]  # that it uses, with their averaged weights if an average is kept
    forward: Callable[[Weights, Asked, Memory], tuple[Made, Memory]]
    begin: Callable[[Weights, Asked], Memory] | None = None
    optional: tuple[str, ...] = ()  # names of the fields of `asks` that may be absent
    parts: Mapping[str, Product] = dataclasses.field(default_factory=dict)  # callable parts, by name
    degradation: Degradation | None = None  # that made its input pixels in training
    # variables by network that are averaged over `passes` batches of noise, and replaced by this average before use
    statistics: Callable[[Weights, Asked], dict[str, Variables]] | None = None
    passes: int = 0
    # for tiled and streamed inference
    scale: int = 1  # output pixels per input pixel, along a side
    receptive_field: int | None = None  # input pixels an output pixel sees to each side; None: all
    multiple: int = 1  # a crop shifted by multiples of it, in input pixels, gives the same output
    features_scale: int | None = None  # pixels of the largest features per input pixel; None: `scale`
    # frames by which outputs lag inputs: the first `delay` outputs of a shot are dropped, and its last input frame is
    # repeated `delay` times
    delay: int = 0
    # (frames, rate) -> the product for clips of `frames` frames, at `rate` times the frame rate of the data
    retimed: Callable[[int, float], Product] | None = None

    @property
    def needed(self) -> Spec:
        """The fields of `asks` that are required."""
        return {name: field for name, field in self.asks.items() if name not in self.optional}

    def start(self, weights: Weights, asked: Asked) -> Memory:
        """The memory before the first frame, made from its fields; None for products without memory."""
        return None if self.begin is None else self.begin(weights, asked)

    def __call__(self, weights: Weights, asked: Asked, memory: Memory = None) -> tuple[Made, Memory]:
        """The fields that it gives for those asked for, and the new memory."""
        return self.forward(weights, asked, memory)

    def once(self, weights: Weights, asked: Asked) -> Made:
        """The output for a single picture, that is, for a shot of one frame."""
        memory = self.start(weights, asked)
        for _ in range(self.delay + 1):
            made, memory = self(weights, asked, memory)
        return made

    def makes_pixels_of(self, kind: Kind) -> bool:
        """Whether it makes pixels from fields of this kind: from latents (generation) or from pixels (restoration)."""
        return name_of(self.gives, "pixels") is not None and name_of(self.asks, kind) is not None

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 without labels."""
        label = name_of(self.asks, "label")
        return 0 if label is None else len(self.asks[label].names)


def product_of(task: Task, name: str | None = None) -> tuple[str, Product]:
    """The product of a task by name, by default the first. Raises UserError for unknown names, listing the known."""
    products = task.products
    if not products:
        raise UserError("this task has no product: it trains nothing that could be called")
    if name is not None and name not in products:
        raise ArgumentError("product", f"got {name!r}, expected one of {', '.join(products)}")
    name = next(iter(products)) if name is None else name
    return name, products[name]


def draw_latents(field: Field, key: Key, count: int) -> Array:
    """Latents `[count, ...]`, drawn by the law of their field. Raises ValueError for a field without one.

    Each vector of a sequence `[M,D]` has its own key, so that a longer sequence starts with the same vectors.
    """
    if field.law != "normal":
        raise ValueError(f"law={field.law!r}: expected 'normal'")
    if len(field.shape) != 2:
        return jax.random.normal(key, (count, *field.known))
    length, size = field.known
    keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(np.arange(length))
    return jax.vmap(lambda key: jax.random.normal(key, (count, size)), out_axes=1)(keys)


def draw_further(asks: Spec, key: Key, count: int) -> dict[str, Array]:
    """All latents asked for except the first, by name; each is drawn with its own key."""
    latents = further_latents(asks).items()
    return {
        name: draw_latents(field, jax.random.fold_in(key, number), count)
        for number, (name, field) in enumerate(latents, 1)
    }
