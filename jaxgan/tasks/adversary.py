"""One discriminator's whole game, written once for all tasks: what it learns, and what it asks of the other player.

A task says what is shown to it, `Shown`, and gets phases for its turns (`phases`) and the loss that the other player
gets from it (`push`). A task has as many adversaries as it wants, each with a network and a player of its own.
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
from jaxgan.tasks.sight import See, Sight, check_instance_noise, sight

SPECTRAL = "spectral"  # the collection that a forward in training reads and moves
ACCURACY_DECAY = 0.99  # of the mean accuracy that `max_accuracy` looks at (Chu et al. 2020, section 4.2)
OFFERED = (  # what a penalty of any adversary can ask for by name
    *("critic", "fake_critic", "real", "fake", "given", "real_logits", "fake_logits"),
    *("key", "images_seen", "params", "transposed"),
)


class Shown(NamedTuple):
    """What a discriminator is shown in a turn; the same as the arguments of `Adversary.turn`."""

    real: Any
    fake: Any = None  # None in the turn of a penalty that does not ask for it
    given: Any = None
    mismatched: Any = None
    further: Offers | None = None


class Push(NamedTuple):
    """What an adversary asks of the other player: the loss and what it reports, and the judgements behind it."""

    loss: Array
    metrics: dict[str, Array]
    real: Judgement
    fake: Judgement


Show = Callable[[State, Batch, Key], Shown]


@dataclasses.dataclass(frozen=True)
class Adversary:
    """A discriminator and how it is trained.

    `real` and `fake` are pytrees of pixels: an image `[B,H,W,C]`, all its scales, a clip `[B,T,H,W,C]`, several images.
    `given` (a label, a condition, a mask, or a dict of them) is judged beside both; a task says by `beside` how. The
    reals and the fakes of a row belong together, so that a relativistic pair shares what is given. Augmentation and
    noise belong to the critic: penalties act on pixels before them. In each turn the reals and the fakes are seen with
    draws of their own, which penalties share: see `jaxgan.tasks.sight`.

    Phases have the names of the player and of its penalties. In the state's carry the names of what is remembered begin
    with the player's name: `frames_lecam` is a penalty's, `frames:augment` the adversary's own. Those of the player
    "discriminator" are older than the rule: `augment`.
    """

    network: Given[Network]  # (pixels, given, *, train) -> Judgement, or as `beside` has it
    loss: AdversarialLoss
    network_name: Given[str] = DISCRIMINATOR  # in the state
    player: Given[str] = ""  # who owns the network; empty: a player of the network's name
    path: Given[str] = ADVERSARY  # its section, for errors
    penalties: tuple[Penalty, ...] = ()
    augment: Augmentation | None = None  # of what the network sees: see `jaxgan.augment`
    class_weight: NotNegative = 1.0  # of the auxiliary classifier, where the network has one (Odena et al. 2017)
    pack: Count = 1  # examples judged together, stacked as channels (PacGAN, Lin et al. 2018)
    top_k: SomeNumber = 1.0  # the share of the fakes, the best judged, that are pushed (Sinha et al. 2020)
    max_accuracy: Share | None = None  # the network sits out while it tells more of the pairs apart
    label_smoothing: Smoothing = 0.0  # the target for reals is 1 less this (Salimans et al. 2016, section 3.4)
    instance_noise: NotNegativeNumber = 0.0  # deviation of noise on all pixels, in [-1, 1] (Sonderby et al. 2017)
    beside: Given[Callable[[Any, Any], tuple[Any, ...]] | None] = None  # (pixels, given) -> the network's inputs
    weigh: Given[Callable[[Any, tuple[int, ...]], Array] | None] = (
        None  # (given, the shape of logits [B,...]) -> weights
    )

    def __post_init__(self) -> None:
        """Raises UserError for numbers that no game can have."""
        if not self.player:
            object.__setattr__(self, "player", self.network_name)
        if self.pack < 1:
            raise UserError(f"{self.path}.pack: got {self.pack}, expected 1 or more")
        check_differences(self.penalties, self.network, self.network_name, self.path)
        check_smoothing(self.loss, self.label_smoothing, self.path)
        check_instance_noise(self.instance_noise, self.path)
        make_schedule(self.top_k, f"{self.path}.top_k")

    def check_labels(self, num_classes: int) -> None:
        """Raise UserError for labels that cannot be judged; 0 classes: there are none."""
        if self.pack > 1 and num_classes:
            told = "images of different labels cannot be judged together; expected 1"
            raise UserError(f"{self.path}.pack: {told}")

    def init(self, key: Key, pixels: Any, given: Any = None) -> dict[str, Any]:
        """The network's params and variables, for pixels and what is given with them; they need shapes only."""
        tree: dict[str, Any] = self.network.init(key, *self._inputs(pixels, given), train=False)
        return tree

    def init_carry(self) -> dict[str, Any]:
        """What augmentation, balance and the penalties remember."""
        carry: dict[str, Any] = {}
        if self.augment is not None and (memory := self.augment.init_memory()):
            carry[self._own("augment")] = memory
        if self.max_accuracy is not None:
            carry[self._own("accuracy")] = jnp.float32(0.5)
        return carry | memories(self.player, self.penalties)

    def phases(self, show: Show, *, drawn_by: str = GENERATOR) -> tuple[Phase, ...]:
        """Its turns and those of its lazy penalties, of what `show` makes of the state, the batch and the key.

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
        real: Any,
        fake: Any,
        key: Key,
        given: Any = None,
        mismatched: Any = None,
        further: Offers | None = None,
    ) -> tuple[Array, Aux]:
        """The discriminator's loss, with its penalties of every step, which may ask for `further` things too.

        `mismatched` is another `given` for the reals, with which they count as fakes. Half of the loss is that of the
        pairs of reals and fakes, half that of the reals and themselves so judged: of losses that take reals and fakes
        apart that is real + (mismatched + fake) / 2 (Reed et al. 2016, algorithm 1, line 10: GAN-CLS), and in a
        relativistic pair a real is to be judged better with what belongs to it than with what does not. Raises
        UserError where nothing could tell the two apart.
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
        if SPECTRAL not in variables:  # else the fakes met other kernels than the critic's: too far for a difference
            offers["fake_logits"] = lambda: rejected.logits
        aux = Aux(metrics, {self.network_name: variables}, carry)
        return penalized(self.player, self.penalties, loss, offers, state, aux)

    def push(self, state: State, real: Any, fake: Any, key: Key, given: Any = None) -> Push:
        """What is asked of the player whose fakes these are, without the network's moving or remembering anything.

        A loss that does not look at the reals lets the compiler drop their forward.
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
        """What a penalty can ask for by name, `OFFERED` and further things; see `jaxgan.tasks.penalty`.

        The critics judge beside what is shown; a penalty that asks for `given` may give them another, as a second
        input, and differentiate it. The logits are judged anew.
        """
        real, fake, given = shown.real, shown.fake, shown.given
        seen = self._sight(state, key, given)

        def critic(see: See) -> Critic:
            def judge(pixels: Any, given: Any = given) -> Any:
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
        self, params: Mapping[str, Params], variables: Mapping[str, Variables], pixels: Array, given: Any = None
    ) -> Array:
        """The mean logit `[N]` of images as they are, from statistics kept in training.

        Of packed images one a pack, `[N / pack]`; images that fill no pack are left out. Raises UserError for fewer
        than one.
        """
        whole = len(pixels) // self.pack * self.pack or None
        pixels, given = jax.tree.map(lambda each: each[:whole], (pixels, given))
        tree = {"params": params[self.network_name], **variables[self.network_name]}
        return per_example(self.network.apply(tree, *self._inputs(pixels, given), train=False).logits)

    def check_packed(self, offers: Callable[[], Offers], rows: int, others: tuple[Penalty, ...] = ()) -> None:
        """Raise UserError for a penalty, of its own or of the other player, that cannot be taken of packed images."""
        for where, penalties in (
            (f"{self.path}.penalties", self.penalties),
            ("config.task.generator_penalties", others),
        ):
            check_packed(penalties, offers, rows // self.pack, where, f"{self.path}.pack")

    def _own(self, name: str) -> str:
        """A name in the carry and among metrics that no penalty has: those end with an identifier after `_`."""
        return name if self.player == DISCRIMINATOR else f"{self.player}:{name}"

    def _remembered(self, state: State, metrics: dict[str, Array], real_score: Array, rows: int) -> dict[str, Any]:
        """What balance and augmentation remember after a turn; the probability of the latter becomes a metric."""
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

    def _sight(self, state: State, key: Key, given: Any) -> Sight:
        """What the network sees in the turn that has this key."""
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
        self, state: State, variables: Variables | None, pixels: Any, given: Any, seen: Sight, see: See
    ) -> tuple[Judgement, Variables]:
        """The judgement of pixels and the network's new variables; `variables` None: from the state's."""
        variables = state.variables[self.network_name] if variables is None else variables
        tree = {"params": state.params[self.network_name], **variables}
        inputs = self._inputs(see(pixels), seen.given(given, pixels))
        judgement, updates = self.network.apply(tree, *inputs, train=True, mutable=list(variables))
        return judgement, {**variables, **updates}

    def _inputs(self, pixels: Any, given: Any) -> tuple[Any, ...]:
        """What the network is called with: pixels, a condition, and what else there may be."""
        pixels, *others = (pixels, given) if self.beside is None else self.beside(pixels, given)
        return self._packed(pixels), *others

    def _packed(self, pixels: Any) -> Any:
        if self.pack == 1:
            return pixels

        def stack(x: Array) -> Array:
            if x.shape[0] % self.pack:
                told = f"got {self.pack}, expected a divisor of {x.shape[0]} images"
                raise UserError(f"{self.path}.pack: {told}")
            x = jnp.moveaxis(x.reshape(-1, self.pack, *x.shape[1:]), 1, -2)
            return x.reshape(*x.shape[:-2], -1)

        return jax.tree.map(stack, pixels)

    def _losses(self, function: Callable[..., Any], real: Judgement, fake: Judgement, given: Any) -> Array:
        """One value an example, or a pack: the weighted mean over its logits."""
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

    def _check_mismatched(self, given: Any, judged: Judgement) -> None:
        if given is None or isinstance(self.loss, JudgementLoss):
            raise ValueError("mismatched: something else has to be given, and judged by logits of reals and fakes")
        if judged.class_logits is not None:
            raise UserError(
                f"config.networks.{self.network_name}.conditioning: got 'classifier', whose logits know no label and "
                "cannot tell mismatched pairs from others; expected 'projection' and 'concat'"
            )


def blank_state(params: Mapping[str, Params], variables: Mapping[str, Variables], carry: dict[str, Any]) -> State:
    """The state of a game that has not begun, for checks by shapes."""
    fields = dict.fromkeys((field.name for field in dataclasses.fields(State)), jnp.int32(0))
    return State(**{**fields, "params": params, "variables": variables, "carry": carry})


def _cross_entropy(judgement: Judgement, label: Array) -> Array:
    if jnp.issubdtype(label.dtype, jnp.floating):  # shares of the classes
        return optax.softmax_cross_entropy(judgement.class_logits, label).mean()
    return optax.softmax_cross_entropy_with_integer_labels(judgement.class_logits, label).mean()
