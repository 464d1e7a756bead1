"""A discriminator and its training, the same for all tasks: its own loss, and the loss of the other player.

A task decides what is shown to the discriminator (`Shown`) and gets the phases of its turns (`phases`) and the loss for
the other player (`push`). A task may have any number of adversaries, each with its own network and player.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.config.domains import Count, Given, NotNegative, NotNegativeNumber, Share, Smoothing, SomeNumber
from jaxgan.config.run import ADVERSARY
from jaxgan.errors import UserError
from jaxgan.game import (
    DISCRIMINATOR,
    GENERATOR,
    AdversarialLoss,
    Array,
    Augmentation,
    Aux,
    Batch,
    Critic,
    Judgement,
    JudgementLoss,
    Key,
    Network,
    Params,
    Phase,
    State,
    Variables,
)
from jaxgan.layers.collective import all_rows, axis_size, own_rows, pmean
from jaxgan.layers.conv import transposed_kernels
from jaxgan.losses.adversarial import check_smoothing, per_example, smoothed
from jaxgan.schedules import at, make_schedule
from jaxgan.tasks.penalty import Offers, Penalty, check_differences, check_packed, lazy_phases, memories, penalized
from jaxgan.tasks.sight import Condition, Pixels, See, Sight, check_instance_noise, sight

SPECTRAL = "spectral"  # the collection that a training forward reads and updates
ACCURACY_DECAY = 0.99  # decay of the mean accuracy that `max_accuracy` is compared with (Chu et al. 2020, section 4.2)
OFFERED = (  # what a penalty of any adversary can request by parameter name
    *("critic", "fake_critic", "real", "fake", "given", "real_logits", "fake_logits"),
    *("key", "images_seen", "params", "transposed"),
)


class Shown(NamedTuple):
    """What a discriminator is shown in a turn: the arguments of `Adversary.turn`."""

    real: Pixels
    fake: Pixels = None  # None in the turn of a penalty that does not request it
    given: Condition = None
    mismatched: Condition = None
    further: Offers | None = None


class Push(NamedTuple):
    """The loss of the other player, its metrics, and the judgements it is computed from."""

    loss: Array
    metrics: dict[str, Array]
    real: Judgement
    fake: Judgement


Show = Callable[[State, Batch, Key], Shown]


@dataclasses.dataclass(frozen=True)
class Adversary:
    """A discriminator and how it is trained.

    `real` and `fake` are pytrees of pixels: an image `[B,H,W,C]`, all its scales, a clip `[B,T,H,W,C]`, several images.
    `given` (a label, a condition, a mask, or a dict of them) is judged together with both; the task's `beside` says
    how. The real and the fake of a row belong together, so that a relativistic pair has the same `given`. Augmentation
    and noise are part of the critic: penalties act on the pixels before them. In each turn the reals and the fakes are
    augmented independently, and penalties share these draws: see `jaxgan.tasks.sight`.

    Phases are named after the player and its penalties. Names in the state's carry begin with the player's name:
    `frames_lecam` belongs to a penalty, `frames:augment` to the adversary itself. Names of the player "discriminator"
    are older than this rule and have no prefix: `augment`.
    """

    network: Given[Network]  # (pixels, given, *, train) -> Judgement; other inputs if `beside` is set
    loss: AdversarialLoss
    network_name: Given[str] = DISCRIMINATOR  # in the state
    player: Given[str] = ""  # the player that owns the network; empty: one of the network's name
    path: Given[str] = ADVERSARY  # its section in the config, for errors
    penalties: tuple[Penalty, ...] = ()
    augment: Augmentation | None = None  # augmentation of the network's input, see `jaxgan.augment`
    class_weight: NotNegative = 1.0  # weight of the auxiliary classifier, if the network has one (Odena et al. 2017)
    pack: Count = 1  # examples judged together, stacked as channels (PacGAN, Lin et al. 2018)
    top_k: SomeNumber = (
        1.0  # share of the fakes, with the highest logits, in the other player's loss (Sinha et al. 2020)
    )
    max_accuracy: Share | None = None  # pair accuracy above which the network sits out
    label_smoothing: Smoothing = 0.0  # the target for reals is 1 minus this (Salimans et al. 2016, section 3.4)
    instance_noise: NotNegativeNumber = 0.0  # standard deviation, of pixels in [-1, 1] (Sonderby et al. 2017)
    beside: Given[Callable[[Any, Any], tuple[Any, ...]] | None] = None  # (pixels, given) -> the network's inputs
    weigh: Given[Callable[[Any, tuple[int, ...]], Array] | None] = None  # (given, shape of logits [B,...]) -> weights

    def __post_init__(self) -> None:
        """Raises UserError for invalid numbers."""
        if not self.player:
            object.__setattr__(self, "player", self.network_name)
        if self.pack < 1:
            raise UserError(f"{self.path}.pack: got {self.pack}, expected 1 or more")
        check_differences(self.penalties, self.network, self.network_name, self.path)
        check_smoothing(self.loss, self.label_smoothing, self.path)
        check_instance_noise(self.instance_noise, self.path)
        make_schedule(self.top_k, f"{self.path}.top_k")

    def check_labels(self, num_classes: int) -> None:
        """Raise UserError for labels that cannot be judged; `num_classes` 0: no labels."""
        if self.pack > 1 and num_classes:
            raise UserError(f"{self.path}.pack: images of different labels cannot be judged together; expected 1")

    def init(self, key: Key, pixels: Pixels, given: Condition = None) -> dict[str, Any]:
        """The network's params and variables, for inputs of the shapes of `pixels` and `given`."""
        tree: dict[str, Any] = self.network.init(key, *self._inputs(pixels, given), train=False)
        return tree

    def init_carry(self) -> dict[str, Any]:
        """The initial memory of the augmentation, the accuracy gate and the penalties."""
        carry: dict[str, Any] = {}
        if self.augment is not None and (memory := self.augment.init_memory()):
            carry[self._own("augment")] = memory
        if self.max_accuracy is not None:
            carry[self._own("accuracy")] = jnp.float32(0.5)
        return carry | memories(self.player, self.penalties)

    def phases(self, show: Show, *, drawn_by: str = GENERATOR) -> tuple[Phase, ...]:
        """The phases of its turns and of its lazy penalties; `show` makes the inputs from state, batch and key.

        `drawn_by`: the player whose fakes it judges.
        """
        most, name = self.max_accuracy, self._own("accuracy")
        gate = None if most is None else lambda state: state.carry[name] <= most

        def turn(state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
            shown = show(state, batch, key)
            return self.turn(state, shown.real, shown.fake, key, shown.given, shown.mismatched, shown.further)

        def offers(state: State, batch: Batch, key: Key) -> Offers:
            return self.offers(state, show(state, batch, key), key)

        return (
            Phase(self.player, self.player, turn, drawn_by=drawn_by, gate=gate),
            *lazy_phases(self.player, self.penalties, offers, gate=gate, drawn_by=drawn_by),
        )

    def turn(
        self,
        state: State,
        real: Pixels,
        fake: Pixels,
        key: Key,
        given: Condition = None,
        mismatched: Condition = None,
        further: Offers | None = None,
    ) -> tuple[Array, Aux]:
        """The discriminator's loss, with its penalties of every step, which may request `further` things too.

        `mismatched` is another `given` for the reals, with which they count as fakes. Half of the loss is that of pairs
        of reals and fakes, half that of pairs of reals and mismatched reals. For losses with separate terms for reals
        and fakes this is real + (mismatched + fake) / 2 (Reed et al. 2016, algorithm 1, line 10: GAN-CLS); a
        relativistic pair asks for a higher logit of a real with its own `given` than with the other one. Raises
        UserError if the network's logits do not depend on `given`.
        """
        fake = jax.lax.stop_gradient(fake)
        seen = self._sight(state, key, given)
        judged, variables = self._judge(state, None, real, given, seen, seen.reals)
        rejected, variables = self._judge(state, variables, fake, given, seen, seen.fakes)
        function = smoothed(self.loss, self.label_smoothing, self.path).discriminator
        losses = self._losses(function, judged, rejected, seen.given(given, real))
        real_score, fake_score = per_example(judged.logits), per_example(rejected.logits)
        metrics = {
            "real_logits": real_score.mean(),
            "fake_logits": fake_score.mean(),
            "accuracy": (real_score > fake_score).astype(jnp.float32).mean(),
        }
        if mismatched is not None:
            self._check_mismatched(given, judged)
            wrong, variables = self._judge(state, variables, real, mismatched, seen, seen.reals)
            losses = 0.5 * (losses + self._losses(function, judged, wrong, seen.given(mismatched, real)))
            metrics["mismatched_logits"] = per_example(wrong.logits).mean()
        loss = losses.mean()
        if judged.class_logits is not None:
            label = self._inputs(real, given)[1]
            metrics["class_loss"] = _cross_entropy(judged, label) + _cross_entropy(rejected, label)
            loss += self.class_weight * metrics["class_loss"]
        carry = self._remembered(state, metrics, real_score, jax.tree.leaves(real)[0].shape[0])
        offers = {
            **self.offers(state, Shown(real, fake, given, mismatched, further), key),
            "real_logits": lambda: judged.logits,
        }
        if SPECTRAL not in variables:  # else the fakes' kernels differ from the critic's: wrong for finite differences
            offers["fake_logits"] = lambda: rejected.logits
        aux = Aux(metrics, {self.network_name: variables}, carry)
        return penalized(self.player, self.penalties, loss, offers, state, aux)

    def push(self, state: State, real: Pixels, fake: Pixels, key: Key, given: Condition = None) -> Push:
        """The loss of the player that made the fakes; the network's variables and memory are not updated.

        If the loss does not depend on the reals, the compiler removes their forward.
        """
        seen = self._sight(state, key, given)
        judged, _ = self._judge(state, None, real, given, seen, seen.reals)
        hopeful, _ = self._judge(state, None, fake, given, seen, seen.fakes)
        losses = self._losses(self.loss.generator, judged, hopeful, seen.given(given, real))
        loss, metrics = losses.mean(), {}
        if self.top_k != 1.0:
            ranks = jnp.argsort(jnp.argsort(-all_rows(per_example(hopeful.logits))))
            chosen = ranks < jnp.ceil(at(self.top_k, state.images_seen, f"{self.path}.top_k") * len(ranks))
            loss = (losses * own_rows(chosen)).mean() / chosen.mean()
        if hopeful.class_logits is not None:
            class_loss = _cross_entropy(hopeful, self._inputs(fake, given)[1])
            metrics[self._own("class_loss")] = class_loss
            loss += self.class_weight * class_loss
        return Push(loss, metrics, judged, hopeful)

    def offers(self, state: State, shown: Shown, key: Key) -> dict[str, Callable[[], Any]]:
        """What a penalty can request by parameter name: `OFFERED` and `shown.further`; see `jaxgan.tasks.penalty`.

        The critics use what is `given` in `shown`; a penalty that requests `given` may pass another one as a second
        input, and differentiate by it. The logits are computed again.
        """
        real, fake, given = shown.real, shown.fake, shown.given
        seen = self._sight(state, key, given)

        def critic(see: See) -> Critic:
            def judge(pixels: Pixels, given: Condition = given) -> Any:
                return self._judge(state, None, pixels, given, seen, see)[0].logits

            return Critic(judge, self.pack)

        of_reals, of_fakes = critic(seen.reals), critic(seen.fakes)
        offers: dict[str, Callable[[], Any]] = {
            "critic": lambda: of_reals,
            "fake_critic": lambda: of_fakes,
            "real": lambda: real,
            "given": lambda: given,
            "key": lambda: jax.random.fold_in(key, 1),
            "real_logits": lambda: of_reals(real),
            "images_seen": lambda: state.images_seen,
            "params": lambda: state.params[self.network_name],
            "transposed": lambda: transposed_kernels(of_reals, real),
        }
        if fake is not None:
            offers |= {"fake": lambda: fake, "fake_logits": lambda: of_fakes(fake)}
        return {**offers, **(shown.further or {})}

    def judge(
        self, params: Mapping[str, Params], variables: Mapping[str, Variables], pixels: Array, given: Condition = None
    ) -> Array:
        """The mean logit `[N]` of images without augmentation, with the statistics kept in training.

        With packing one per pack, `[N / pack]`; images that do not fill a pack are left out. Raises UserError for fewer
        images than a pack.
        """
        whole = len(pixels) // self.pack * self.pack or None
        pixels, given = jax.tree.map(lambda each: each[:whole], (pixels, given))
        tree = {"params": params[self.network_name], **variables[self.network_name]}
        return per_example(self.network.apply(tree, *self._inputs(pixels, given), train=False).logits)

    def check_packed(self, offers: Callable[[], Offers], rows: int, others: tuple[Penalty, ...] = ()) -> None:
        """Raise UserError for a penalty, its own or the other player's (`others`), that does not support packing."""
        for where, penalties in (
            (f"{self.path}.penalties", self.penalties),
            ("config.task.generator_penalties", others),
        ):
            check_packed(penalties, offers, rows // self.pack, where, f"{self.path}.pack")

    def _own(self, name: str) -> str:
        """A name in the carry and the metrics that no penalty can have: theirs have an identifier after `_`."""
        return name if self.player == DISCRIMINATOR else f"{self.player}:{name}"

    def _remembered(self, state: State, metrics: dict[str, Array], real_score: Array, rows: int) -> dict[str, Any]:
        """The new memory of the accuracy gate and the augmentation, whose probability is added to the metrics."""
        carry: dict[str, Any] = {}
        if self.max_accuracy is not None:
            name, now = self._own("accuracy"), pmean(jax.lax.stop_gradient(metrics["accuracy"]))
            carry[name] = ACCURACY_DECAY * state.carry[name] + (1 - ACCURACY_DECAY) * now
        name = self._own("augment")
        if self.augment is not None and name in state.carry:
            memory, logits = state.carry[name], jax.lax.stop_gradient(real_score)
            metrics["augment_probability"] = self.augment.probability(memory, state.images_seen)
            carry[name] = self.augment.update(memory, logits, batch_size=rows * axis_size(), step=state.step)
        return carry

    def _sight(self, state: State, key: Key, given: Condition) -> Sight:
        """The augmentation and noise of the turn that has this key."""
        memory, noise = state.carry.get(self._own("augment"), {}), self.instance_noise
        return sight(
            key,
            state.images_seen,
            augment=self.augment,
            memory=memory,
            instance_noise=noise,
            given=given,
            path=self.path,
        )

    def _judge(
        self, state: State, variables: Variables | None, pixels: Pixels, given: Condition, seen: Sight, see: See
    ) -> tuple[Judgement, Variables]:
        """The judgement of pixels and the network's new variables; `variables` None: those of the state."""
        variables = state.variables[self.network_name] if variables is None else variables
        tree = {"params": state.params[self.network_name], **variables}
        inputs = self._inputs(see(pixels), seen.given(given, pixels))
        judgement, updates = self.network.apply(tree, *inputs, train=True, mutable=list(variables))
        return judgement, {**variables, **updates}

    def _inputs(self, pixels: Pixels, given: Condition) -> tuple[Any, ...]:
        """The network's inputs: pixels, a condition, and what `beside` adds."""
        pixels, *others = (pixels, given) if self.beside is None else self.beside(pixels, given)
        return self._packed(pixels), *others

    def _packed(self, pixels: Pixels) -> Pixels:
        if self.pack == 1:
            return pixels

        def stack(x: Array) -> Array:
            if x.shape[0] % self.pack:
                raise UserError(f"{self.path}.pack: got {self.pack}, expected a divisor of {x.shape[0]} images")
            x = jnp.moveaxis(x.reshape(-1, self.pack, *x.shape[1:]), 1, -2)
            return x.reshape(*x.shape[:-2], -1)

        return jax.tree.map(stack, pixels)

    def _losses(self, function: Callable[..., Any], real: Judgement, fake: Judgement, given: Condition) -> Array:
        """One value per example, or pack: the weighted mean over its logits."""
        if isinstance(self.loss, JudgementLoss):
            losses = function(real, fake, given)
        else:
            losses = jax.tree.map(function, real.logits, fake.logits)
        if self.weigh is None:
            return per_example(losses)

        def weights(losses: Array) -> Array:
            assert self.weigh is not None
            each = self.weigh(given, (losses.shape[0] * self.pack, *losses.shape[1:]))
            return each if self.pack == 1 else each.reshape(-1, self.pack, *each.shape[1:]).max(axis=1)

        return per_example(losses, jax.tree.map(weights, losses))

    def _check_mismatched(self, given: Condition, judged: Judgement) -> None:
        if given is None or isinstance(self.loss, JudgementLoss):
            raise ValueError("mismatched: requires a `given`, and a loss of logits")
        if judged.class_logits is not None:
            raise UserError(
                f"config.networks.{self.network_name}.conditioning: got 'classifier', whose logits do not depend on "
                "the label, so that mismatched pairs look like any other; expected one of 'projection', 'concat'"
            )


def blank_state(params: Mapping[str, Params], variables: Mapping[str, Variables], carry: dict[str, Any]) -> State:
    """A state of zeros around these weights and carry, for checks of shapes."""
    fields = dict.fromkeys((field.name for field in dataclasses.fields(State)), jnp.int32(0))
    return State(**{**fields, "params": params, "variables": variables, "carry": carry})


def _cross_entropy(judgement: Judgement, label: Array) -> Array:
    if jnp.issubdtype(label.dtype, jnp.floating):  # soft labels
        return optax.softmax_cross_entropy(judgement.class_logits, label).mean()
    return optax.softmax_cross_entropy_with_integer_labels(judgement.class_logits, label).mean()
