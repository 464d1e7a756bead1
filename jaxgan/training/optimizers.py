"""Optimizers from optax by name, with hyperparameters that may be schedules over images.

A section `{"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "clip_global_norm": 1.0}` has the name of an optax
optimizer, its hyperparameters, and up to three clips. `"scale": {"mapping": 0.01}` multiplies the updates of single
networks of the player. Every hyperparameter and every scale may be a schedule. An optimizer is a function of the clock
that returns an optax transformation: its state does not depend on the hyperparameters, so these are traced, and a
schedule never recompiles.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.config.checking import check_type, unknown_key
from jaxgan.config.domains import (
    Count,
    DecayNumber,
    FiniteNumber,
    NotNegativeNumber,
    Positive,
    PositiveNumber,
    ShareNumber,
    Whole,
)
from jaxgan.errors import UserError
from jaxgan.game import Array, Params, Phase
from jaxgan.schedules import at, check_argument

Optimizer = Callable[[Array, Array], optax.GradientTransformation]  # (images_seen, rollbacks)

CLIPS: dict[str, Any] = dict.fromkeys(("clip_global_norm", "clip_adaptive", "clip_weights"), Positive | None)
HYPERPARAMETERS: dict[str, Any] = {  # the domains, for all of optax's optimizers
    "learning_rate": PositiveNumber,
    **dict.fromkeys(("b1", "b2", "b3", "momentum", "decay", "decay_rate", "rho"), DecayNumber),
    **dict.fromkeys(("eps", "eps_root", "min_norm", "weight_decay", "weight_decay_rate"), NotNegativeNumber),
    **dict.fromkeys(("initial_accumulator_value", "initial_scale", "threshold"), NotNegativeNumber),
    **dict.fromkeys(("noise_multiplier", "eta", "gamma"), NotNegativeNumber),  # of noisy_sgd, and of dpsgd
    **dict.fromkeys(("trust_coefficient", "clipping_threshold", "l2_norm_clip"), PositiveNumber),
    **dict.fromkeys(("min_step_size", "max_step_size", "eta_plus"), PositiveNumber),
    **dict.fromkeys(("beta", "eta_minus"), ShareNumber),
    **dict.fromkeys(("alpha", "optimism"), FiniteNumber),
    **dict.fromkeys(("min_dim_size_to_factor", "memory_size"), Count),
    **dict.fromkeys(("decay_offset", "seed"), Whole),
}
SCALE = "scale"  # factors of single networks, by name
BETAS = ("b1", "b2", "momentum", "decay")  # decay rates that are corrected for lazy regularization
SWITCHES = ("nesterov", "centered", "mu_dtype", "eps_in_sqrt", "bias_correction")  # these are not numbers


def check_optimizer(section: Mapping[str, Any], path: str) -> None:
    """Raise UserError, with `path` before the key, for an optimizer or a hyperparameter that optax does not have."""
    name = section.get("name")
    maker = getattr(optax, str(name), None)
    accepted = _hyperparameters(maker) if inspect.isfunction(maker) else {}
    if "learning_rate" not in accepted:
        raise UserError(f"{path}.name: got {name!r}, expected an optax optimizer such as adam, adamw, rmsprop, sgd")
    for key, value in section.items():
        if key == "name":
            continue
        if key == SCALE:
            check_type(value, Mapping[str, Any], f"{path}.{key}")
            for network, factor in value.items():
                check_argument(factor, NotNegativeNumber, f"{path}.{key}.{network}")
            continue
        if key not in accepted and key not in CLIPS:
            raise unknown_key(path, key, [*accepted, *CLIPS, SCALE])
        if value is None and accepted.get(key, None) is None:
            continue
        if key in SWITCHES:
            if isinstance(accepted[key], bool):
                check_type(value, bool, f"{path}.{key}")
        else:
            check_argument(value, (CLIPS | HYPERPARAMETERS).get(key, FiniteNumber), f"{path}.{key}")
    if "learning_rate" not in section:
        raise UserError(f"{path}.learning_rate is missing")


class Correction(NamedTuple):
    """From `start` images on, the learning rate is multiplied by `factor`, and each beta is raised to that power."""

    start: int
    factor: float


NO_CORRECTION = (Correction(0, 1.0),)


def make_optimizer(
    section: Mapping[str, Any], *, corrections: Sequence[Correction] = NO_CORRECTION, path: str = "optimizer"
) -> Optimizer:
    """The optimizer of a checked section.

    `corrections` are `lazy_correction` of the player's phases. The learning rate is halved for each
    rollback of the run.
    """
    check_optimizer(section, path)
    maker = getattr(optax, section["name"])
    arguments = {key: value for key, value in section.items() if key not in ("name", SCALE, *CLIPS)}
    if tuple(corrections) != NO_CORRECTION:  # betas that the section does not set are corrected too
        defaults = {k: d for k, d in _hyperparameters(maker).items() if k in BETAS and isinstance(d, int | float)}
        arguments = {**defaults, **arguments}

    def optimizer(images_seen: Array, rollbacks: Array) -> optax.GradientTransformation:
        now = {k: v if k in SWITCHES or v is None else at(v, images_seen, k) for k, v in arguments.items()}
        for beta in BETAS:
            if now.get(beta) is not None:
                now[beta] = _corrected(now[beta], operator.pow, corrections, images_seen)
        rate = _corrected(now["learning_rate"], operator.mul, corrections, images_seen)
        now["learning_rate"] = rate * 0.5**rollbacks
        factors = {name: at(value, images_seen, name) for name, value in section.get(SCALE, {}).items()}
        return _clipped(section, maker(**now), factors)

    return optimizer


def lazy_correction(phases: Sequence[Phase], player: str) -> tuple[Correction, ...]:
    """c = k / (k + 1) for a regularization every k steps beside the main phase (Karras et al. 2020, appendix B).

    Lazy phases add optimizer steps; lr * c and beta^c keep the distance moved and the memory per round the same. In
    general c is the share of the main phases in the optimizer steps of a stage: phases of other stages do not count,
    and for a player that moves every n rounds, k counts its own steps. The corrections begin at image 0, are in order,
    and no two neighbours are equal.
    """
    own = [phase for phase in phases if phase.player == player]
    starts = {0, *(phase.start for phase in own), *(phase.stop for phase in own if phase.stop is not None)}
    corrections: list[Correction] = []
    for start in sorted(starts):
        due = [phase for phase in own if phase.start <= start and (phase.stop is None or start < phase.stop)]
        lazy, main = (sum(1 / phase.every for phase in due if phase.lazy is kind) for kind in (True, False))
        factor = main / (main + lazy) if main else 1.0  # a regularization alone adds no steps to a main phase
        if not corrections or factor != corrections[-1].factor:
            corrections.append(Correction(start, factor))
    return tuple(corrections)


def _corrected(
    value: Any, correct: Callable[[Any, float], Any], corrections: Sequence[Correction], images_seen: Array
) -> Any:
    """`correct(value, factor)` with the factor at `images_seen`; a single factor adds no operation to the step."""
    values = [value if factor == 1.0 else correct(value, factor) for _, factor in corrections]
    now = values[0]
    for (start, _), later in zip(corrections[1:], values[1:]):
        now = jnp.where(images_seen < start, now, later)
    return now


def _clipped(
    section: Mapping[str, Any], optimizer: optax.GradientTransformation, factors: Mapping[str, Array | float]
) -> optax.GradientTransformation:
    chain = [optimizer, *([scale_networks(factors)] if factors else [])]
    if section.get("clip_adaptive") is not None:
        chain.insert(0, optax.adaptive_grad_clip(section["clip_adaptive"]))
    if section.get("clip_global_norm") is not None:
        chain.insert(0, optax.clip_by_global_norm(section["clip_global_norm"]))
    if section.get("clip_weights") is not None:
        chain.append(clip_weights(section["clip_weights"]))
    return optax.chain(*chain) if len(chain) > 1 else optimizer


def scale_networks(factors: Mapping[str, Array | float]) -> optax.GradientTransformation:
    """Multiplies the updates of each network by its factor; networks without one are unchanged."""

    def update(
        updates: Mapping[str, Params], state: optax.OptState, params: Params = None
    ) -> tuple[Params, optax.OptState]:
        del params
        scaled = {name: jax.tree.map(lambda u, by=by: by * u, updates[name]) for name, by in factors.items()}
        return {**updates, **scaled}, state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def clip_weights(bound: float) -> optax.GradientTransformation:
    """Keeps every parameter in [-bound, bound]: WGAN's constraint (Arjovsky et al. 2017, algorithm 1)."""

    def update(updates: Params, state: optax.OptState, params: Params = None) -> tuple[Params, optax.OptState]:
        clipped = jax.tree.map(lambda p, u: jnp.clip(p + u, -bound, bound) - p, params, updates)
        return clipped, state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def _hyperparameters(maker: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(maker).parameters.values()
    return {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
