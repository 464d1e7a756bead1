"""The vocabulary of the suite: a GAN is a game in which players own networks and take turns.

`State` is everything a run is, `Task` says who plays with which networks, `Phase` who moves, for
what and how often. How a player moves is written once, in `jaxgan.training.step`.
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
Batch = Mapping[str, Any]  # fields: image [B,H,W,C] in [-1,1], label [B], ...; fakes while a phase with a draw moves
Key = jax.Array

GENERATOR = "generator"  # the player that draws the fakes
DISCRIMINATOR = "discriminator"


class State(struct.PyTreeNode):
    """Everything a run is, as one pytree. It holds no random key: keys are folded from the seed,
    `rollbacks`, `step` and the phase, so a resumed run equals an unbroken one and a rolled-back one
    does not repeat its failure.
    """

    step: Array  # int32: rounds played
    images_seen: Array  # int32: real images (frames, of clips) shown to the networks; the clock of every schedule
    rollbacks: Array  # int32: returns to an older checkpoint; each halves the learning rates
    skipped: Array  # int32: turns skipped because of a NaN or an infinity
    skipped_in_a_row: Array  # int32: of these, since the last good round
    averaged_at: dict[str, Array]  # by averaged network, int32: images_seen when its EMA last moved
    params: dict[str, Params]  # by network
    variables: dict[str, Variables]  # by network
    opt_state: dict[str, Any]  # by player
    ema_params: dict[str, Params]  # by averaged network
    ema_variables: dict[str, Variables]  # by averaged network
    carry: dict[str, Any]  # the task's own memory: augmentation probability, path-length mean


class Aux(struct.PyTreeNode):
    """What a loss reports (`metrics`) and writes back (`variables` by network, `carry` by name)."""

    metrics: dict[str, Array] = struct.field(default_factory=dict)
    variables: dict[str, Variables] = struct.field(default_factory=dict)
    carry: dict[str, Any] = struct.field(default_factory=dict)


class Judgement(struct.PyTreeNode):
    """What a discriminator returns.

    `logits` is a pytree of `[B, ...]`: one number an image, a patch map, several scales.
    """

    logits: Any
    features: Any = None
    class_logits: Array | None = None


@dataclasses.dataclass(frozen=True)
class Critic:
    """What a regularizer sees of a discriminator: inputs (a pytree of `[B, ...]`) -> logits (of `[B / rows, ...]`).

    `rows` consecutive rows of the inputs share a logit: those of a pack.
    """

    judge: Callable[..., Any]  # (inputs) or (inputs, given) -> logits
    rows: int = 1

    def __call__(self, inputs: Any, *given: Any) -> Any:
        """The logits; judged beside what the turn has given, or beside another."""
        return self.judge(inputs, *given)


CriticLike = Critic | Callable[[Any], Any]  # a plain function gives each row a logit of its own


def rows_of(critic: CriticLike) -> int:
    """How many consecutive rows of the inputs share a logit."""
    return getattr(critic, "rows", 1)


class Network(Protocol):
    """What players own: a flax module, or what has its two methods."""

    def init(self, *args: Any, **options: Any) -> Any:
        """The trees of variables, params among them, for inputs of which only the shapes count."""
        ...

    def apply(self, variables: Any, *args: Any, **options: Any) -> Any:
        """The outputs for inputs, and with `mutable` the variables as they stand after."""
        ...


class AdversarialLoss(NamedTuple):
    """A pair of pure elementwise functions of `(real_logits, fake_logits)`, one for each player.

    Both get both logits, so relativistic losses have the same shape as all others.
    """

    discriminator: Callable[..., Any]
    generator: Callable[..., Any]


class JudgementLoss(AdversarialLoss):
    """A pair of pure functions of `(real: Judgement, fake: Judgement, given)`, one for each player.

    For discriminators that judge otherwise than by the logits of reals and fakes, such as by classes of pixels. Both
    give losses `[B, ...]`, or a pytree of them.
    """


Loss = Callable[[State, Batch, Key], tuple[Array, Aux]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """Who moves, for what, how often, from when to when.

    `loss` gets a state into which the moving player's differentiated params have been put. `drawn_by` names the
    player whose draw the loss gets, as the field `fakes` of its batch; None: no draw. Phases of one round with the
    same `drawn_by`, `start` and `stop` share a draw. A phase is due at every `every`-th step while
    `start <= images_seen < stop`; `gate`, traced, can make the player sit out. With `fresh` the player's optimizer
    forgets its moments at its first turn in the stage that begins at `start`. `enter` changes the state on the host,
    once, before the first round at which the phase may be due: a network may begin as a copy of another. A `lazy` phase
    regularizes: its steps come beside those of the main phases, which are shortened for it (see
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
    """What the players want. A task states networks and losses; it never moves a parameter.

    A task whose draws use other networks than the drawing player's own also says which: see `Drawing`.
    """

    @property
    def asks(self) -> Spec:
        """The fields that it wants of the data."""
        ...

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """The networks that each player owns. A network that no player owns is frozen: it has params and no more."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """The networks, each owned by a player, whose average is kept and delivered; may be empty."""
        ...

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 without labels."""
        ...

    @property
    def products(self) -> Mapping[str, Product]:
        """What the trained networks can be called as, by name; the first is meant where nothing is said."""
        ...

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables by network, for a batch of the shapes given (`eval_shape` works)."""
        ...

    def init_carry(self) -> dict[str, Any]:
        """The task's own memory at the start of a run."""
        ...

    def phases(self) -> tuple[Phase, ...]:
        """The phases of one round, in the order in which they are played."""
        ...

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Any, dict[str, Variables]]:
        """The forward of the player `phase.drawn_by`: fakes, and what its networks write back on their own turn.

        `phase` is any of those that share the draw: its window tells the stage.
        """
        ...


@runtime_checkable
class Drawing(Protocol):
    """A task that says which networks a draw uses: when one of them has moved, what was drawn is stale."""

    def drawn_with(self, player: str) -> tuple[str, ...]:
        """The networks that the draw of this player uses."""
        ...


@runtime_checkable
class Sparse(Protocol):
    """A task that shows only some frames of each clip to its networks in a round; None: all of them."""

    frames_seen: int | None


def images_shown(task: Task, spec: Spec) -> int:
    """How many images of an example a round shows to the networks: by so many the clock goes on."""
    seen = task.frames_seen if isinstance(task, Sparse) else None
    return frames(spec) if seen is None else seen


def drawn_with(task: Task, player: str) -> tuple[str, ...]:
    """The networks that the draw of a player uses: its own, unless the task says otherwise."""
    return task.drawn_with(player) if isinstance(task, Drawing) else tuple(task.players[player])


class Augmentation(Protocol):
    """What is done to all images that a discriminator sees, each with a probability that it may adapt."""

    def init_memory(self) -> dict[str, Any]:
        """What it remembers at the start; nothing, where nothing adapts."""
        ...

    def probability(self, memory: Mapping[str, Any], images_seen: Any) -> Array:
        """Of its transforms, a scalar."""
        ...

    def update(self, memory: Mapping[str, Any], real_logits: Array, *, batch_size: int, step: Array) -> dict[str, Any]:
        """What it remembers after a turn of the discriminator, by the mean logits `[B]` of the reals."""
        ...

    def __call__(self, key: Key, images: Array, probability: Any) -> Array:
        """Images `[B,H,W,C]`, or clips `[B,T,H,W,C]` with all frames of one alike, augmented; one key, one result."""
        ...


class Degradation(Protocol):
    """What is done to an image `[B,H,W,C]` to get the condition `[B,H/s,W/s,C']` from which it is restored.

    Clips `[B,T,H,W,C]` are degraded too where clips are restored: each as one image, with noise anew in each frame.
    """

    @property
    def scale(self) -> int:
        """Pixels of the image along a side for each of the condition's."""
        ...

    @property
    def masks(self) -> bool:
        """Whether the condition's last channel is a mask: 1 where the image is to be made up, 0 where it is known."""
        ...

    @property
    def label(self) -> str:
        """A short name, such as `bicubic_x2`: part of the names of scores."""
        ...

    def describe(self) -> str:
        """One sentence for a person who applies a network trained for it."""
        ...

    def __call__(self, key: Key, image: Array) -> Array:
        """The condition; one key, one result."""
        ...


class Weights(NamedTuple):
    """Params and variables, each by network."""

    params: Mapping[str, Params]
    variables: Mapping[str, Variables]

    def of(self, networks: Iterable[str]) -> Weights:
        """Those of some networks."""
        names = tuple(networks)
        return Weights(*({name: trees[name] for name in names} for trees in self))


def playing(state: State, networks: Iterable[str]) -> Weights:
    """The weights of networks as they play now."""
    return Weights(state.params, state.variables).of(networks)


def delivered(state: State, networks: Iterable[str]) -> Weights:
    """The weights that networks are used with: the average where one is kept, else those that play."""
    variables = {**state.variables, **state.ema_variables}
    return Weights({**state.params, **state.ema_params}, variables).of(networks)


Asked = Mapping[str, Any]  # arrays `[B, ...]` by the names of the fields asked for; what is optional may be absent
Made = dict[str, Any]  # likewise, of what is given
Memory = Any  # a pytree of arrays `[B, ...]`; None for products without


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """What a trained thing is: what it asks for and gives, as one pure function without randomness.

    Pixels are float32 in [-1, 1]. A field of kind `number` named `truncation` is a scalar: less variety for better
    images. One that carries a memory has `begin`, and gives the memory of a frame to the next one.
    """

    asks: Spec
    gives: Spec
    networks: tuple[str, ...]  # that it uses; where their average is kept, it is used with that
    forward: Callable[[Weights, Asked, Memory], tuple[Made, Memory]]
    begin: Callable[[Weights, Asked], Memory] | None = None
    optional: tuple[str, ...] = ()  # names of fields that it asks for and can do without
    parts: Mapping[str, Product] = dataclasses.field(default_factory=dict)  # what can be called apart, by name
    degradation: Degradation | None = None  # made the pixels that it asks for, when it was trained
    # what is averaged over `passes` batches of noise and put in the place of variables before it is used, by network
    statistics: Callable[[Weights, Asked], dict[str, Variables]] | None = None
    passes: int = 0
    # what tiles and streams need
    scale: int = 1  # pixels along a side of what it gives for each that it asks for
    receptive_field: int | None = None  # asked pixels that a given one sees to each side; None: all
    multiple: int = 1  # pixels between two places of a crop at which it does the same
    features_scale: int | None = None  # pixels of the largest features for each asked one; None: as the scale
    # frames by which what it gives comes later than what it asks for: of a shot the first so many are dropped, and at
    # its end the last frame is given so often again
    delay: int = 0
    # (frames, rate) -> the same for clips of so many frames, of which `rate` go by in the time of one of the data
    retimed: Callable[[int, float], Product] | None = None

    @property
    def needed(self) -> Spec:
        """What it asks for and cannot do without."""
        return {name: field for name, field in self.asks.items() if name not in self.optional}

    def start(self, weights: Weights, asked: Asked) -> Memory:
        """The memory before the first frame, from the fields of that; None for those without."""
        return None if self.begin is None else self.begin(weights, asked)

    def __call__(self, weights: Weights, asked: Asked, memory: Memory = None) -> tuple[Made, Memory]:
        """What it gives for what it asks for, and the memory after it."""
        return self.forward(weights, asked, memory)

    def once(self, weights: Weights, asked: Asked) -> Made:
        """What it gives where nothing is before or after: of a shot of one frame, or of a picture."""
        memory = self.start(weights, asked)
        for _ in range(self.delay + 1):
            made, memory = self(weights, asked, memory)
        return made

    def makes_pixels_of(self, kind: Kind) -> bool:
        """Whether it gives pixels and asks for fields of this kind: of latents it draws, of pixels it restores."""
        return name_of(self.gives, "pixels") is not None and name_of(self.asks, kind) is not None

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 without labels."""
        label = name_of(self.asks, "label")
        return 0 if label is None else len(self.asks[label].names)


def product_of(task: Task, name: str | None = None) -> tuple[str, Product]:
    """The product of a task by its name, the first without one. Raises UserError, naming those that there are."""
    products = task.products
    if not products:
        raise UserError("this task has no product: it trains nothing that could be called")
    if name is not None and name not in products:
        raise ArgumentError("product", f"got {name!r}, expected one of {', '.join(products)}")
    name = next(iter(products)) if name is None else name
    return name, products[name]


def draw_latents(field: Field, key: Key, count: int) -> Array:
    """Latents `[count, ...]` by the law of their field. Raises ValueError for one without a law.

    Of sequences `[M,D]` each vector has a key of its own, so that a longer one begins as a shorter one.
    """
    if field.law != "normal":
        raise ValueError(f"latents are drawn by the law 'normal', the field has {field.law!r}")
    if len(field.shape) != 2:
        return jax.random.normal(key, (count, *field.known))
    length, size = field.known
    keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(np.arange(length))
    return jax.vmap(lambda key: jax.random.normal(key, (count, size)), out_axes=1)(keys)


def draw_further(asks: Spec, key: Key, count: int) -> dict[str, Array]:
    """All latents that are asked for but the first, by name; each by a key of its own."""
    latents = further_latents(asks).items()
    return {
        name: draw_latents(field, jax.random.fold_in(key, number), count)
        for number, (name, field) in enumerate(latents, 1)
    }
