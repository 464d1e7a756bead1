"""Regularizers of a player: functions that request what they need by the names of their `Given` parameters.

`critic` sees images as the loss sees the reals (`real_logits` are `critic(real)`), `fake_critic` as it sees the
fakes (`fake_logits` are `fake_critic(fake)`): the same discriminator with different random augmentations. Both use what
is `given` in the turn (a label, a condition), or another one passed as a second input.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count, Given
from jaxgan.errors import UserError
from jaxgan.game import GENERATOR, Array, Aux, Batch, Key, Network, Phase, State
from jaxgan.schedules import Number, at

Offers = Mapping[str, Callable[[], Any]]  # what a task can pass to a penalty, by name, computed on request


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A regularizer of one player: its function, its own arguments (which may be schedules), its interval.

    With `every` above 1 it is lazy: a separate phase every `every` steps, with its weight times `every` (Karras et al.
    2020, appendix B). A function with a parameter `memory` keeps scalars between steps: they start at the parameter's
    default, and the function returns `(values, memory)`.
    """

    name: Given[str]
    function: Given[Callable[..., Any]]
    arguments: Given[Mapping[str, Number]] = dataclasses.field(default_factory=dict)
    every: Count = 1

    def wants(self, name: str) -> bool:
        """Whether the function has a parameter of this name."""
        return name in inspect.signature(self.function).parameters

    @property
    def memory(self) -> dict[str, Array]:
        """The initial memory; empty for most penalties."""
        if not self.wants("memory"):
            return {}
        start = inspect.signature(self.function).parameters["memory"].default
        return {name: jnp.float32(value) for name, value in start.items()}

    def __call__(
        self, offers: Offers, images_seen: Array, memory: Mapping[str, Array]
    ) -> tuple[Array, Mapping[str, Array]]:
        """The mean penalty, a scalar, and the new memory."""
        values, memory = self.values(offers, images_seen, memory)
        return values.mean(), memory

    def values(
        self, offers: Offers, images_seen: Array, memory: Mapping[str, Array]
    ) -> tuple[Array, Mapping[str, Array]]:
        """The function's values, such as one per logit, and the new memory."""
        arguments = {
            name: at(value, images_seen, name) if isinstance(value, Mapping) else value
            for name, value in self.arguments.items()
        }
        given = {name: make() for name, make in offers.items() if self.wants(name)}
        if not self.wants("memory"):
            return self.function(**given, **arguments), memory
        values, memory = self.function(**given, **arguments, memory=memory)
        return values, jax.lax.stop_gradient(memory)


def memories(player: str, penalties: tuple[Penalty, ...]) -> dict[str, Any]:
    """The initial memories of a player's penalties, for the task's carry."""
    return {f"{player}_{each.name}": each.memory for each in penalties if each.memory}


def check_differences(penalties: tuple[Penalty, ...], discriminator: Network, name: str, path: str) -> None:
    """Raise UserError for finite differences of a discriminator that computes in less than float32.

    Its rounding errors are as large as the change of its logits over the step of a difference. `name` is the network's
    name, `path` the section that has the penalties.
    """
    network = getattr(discriminator, "discriminator", discriminator)  # of several scales: the template of each scale
    dtype = jnp.dtype(getattr(network, "dtype", jnp.float32))
    for penalty in penalties:
        if penalty.arguments.get("method") == "finite_difference" and jnp.finfo(dtype).bits < 32:
            raise UserError(
                f"{path}.penalties: {penalty.name} by finite differences of a discriminator in {dtype.name}; "
                f"expected method='exact', or config.networks.{name}.dtype='float32'"
            )


def check_offered(penalties: tuple[Penalty, ...], offered: Collection[str], path: str) -> None:
    """Raise UserError for a penalty that requires what the task does not offer."""
    for penalty in penalties:
        parameters = inspect.signature(penalty.function).parameters
        needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
        for name in sorted(needed - {*offered, *penalty.arguments}):
            raise UserError(f"{path}: {penalty.name} needs {name!r}, which this task does not offer")


def check_packed(
    penalties: tuple[Penalty, ...], offers: Callable[[], Offers], logits: int, path: str, pack: str
) -> None:
    """Raise UserError for a penalty on a critic that does not return one value for each of the `logits` logits.

    If images share a logit, a penalty on single images is not the penalty on the critic's input. Evaluates shapes only.
    `path` is the config path of the penalties, `pack` that of the number of images that share a logit.
    """
    for penalty in penalties:
        if not (penalty.wants("critic") or penalty.wants("fake_critic")):
            continue
        try:
            values = jax.eval_shape(lambda p=penalty: p.values(offers(), jnp.int32(0), p.memory)[0])
            wrong = None if values.shape in ((), (logits,)) else f"it returns an array of shape {values.shape}"
        except (TypeError, ValueError) as error:  # shapes that do not fit
            wrong = " ".join(str(error).split())
        if wrong is not None:
            raise UserError(
                f"{path}: {penalty.name} does not support packing: {wrong}, expected one value for each of {logits} "
                f"packs, with squares summed over critic.rows images; it may work without packing ({pack}=1)"
            )


def lazy_phases(
    player: str,
    penalties: tuple[Penalty, ...],
    offers: Callable[[State, Batch, Key], Offers],
    *,
    gate: Callable[[State], Array] | None = None,
    drawn_by: str = GENERATOR,
) -> list[Phase]:
    """The phases of a player's lazy penalties; `gate` as in `Phase`, `drawn_by` for those that request fakes."""
    return [
        Phase(
            f"{player}_{penalty.name}",
            player,
            partial(_lazy_loss, player, penalty, offers),
            weight=float(penalty.every),
            every=penalty.every,
            lazy=True,
            gate=gate,
            drawn_by=drawn_by if any(map(penalty.wants, ("fake", "fake_logits", "latent"))) else None,
        )
        for penalty in penalties
        if penalty.every > 1
    ]


def penalized(
    player: str, penalties: tuple[Penalty, ...], loss: Array, offers: Offers, state: State, aux: Aux
) -> tuple[Array, Aux]:
    """A player's loss with its penalties of every step."""
    metrics, carry = dict(aux.metrics), dict(aux.carry)
    for penalty in (each for each in penalties if each.every == 1):
        name = f"{player}_{penalty.name}"
        metrics[penalty.name], memory = penalty(offers, state.images_seen, state.carry.get(name, {}))
        loss += metrics[penalty.name]
        carry |= {name: memory} if memory else {}
    return loss, aux.replace(metrics=metrics, carry=carry)


def _lazy_loss(
    player: str,
    penalty: Penalty,
    offers: Callable[[State, Batch, Key], Offers],
    state: State,
    batch: Batch,
    key: Key,
) -> tuple[Array, Aux]:
    name = f"{player}_{penalty.name}"
    value, memory = penalty(offers(state, batch, key), state.images_seen, state.carry.get(name, {}))
    return value, Aux(metrics={penalty.name: value}, carry={name: memory} if memory else {})
