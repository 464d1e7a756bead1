"""What to change when training goes wrong. No jax.

Each remedy has two forms, kept side by side. The watch, which does not see the config, prints the constant:
alternatives in words, with `{player}`, `{network}` and the `{path}` of the adversary's section filled in. The doctor
calls the function: command line flags with the names and values of the run's own config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxgan.config.run import Adversary, RunConfig
from jaxgan.stability.ranges import ZERO_CENTRED

ZERO_CENTRED_PENALTIES = tuple(f"gradient_penalty.{name}" for name in ZERO_CENTRED)
FIRST_GAMMA = 1.0
RAISE = 10.0
ADA, DIFF_AUGMENT = "ada.ADA", "diffaugment.DiffAugment"


_LOWER_RATE = "lower config.optimizers.{player}.learning_rate"
WEAKER_DISCRIMINATOR = ("raise gamma in {path}.penalties (or add gradient_penalty.r1 there)", _LOWER_RATE)
BOUNDED_LOGITS = ("add gradient_penalty.r1 to {path}.penalties or raise its gamma", _LOWER_RATE)


def weaker_discriminator(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """Stronger penalties, or a first one; a lower learning rate if the config has no section for the adversary."""
    found = _adversary(config, player)
    if found is None:
        return () if player is None else lower_rate(config, player)
    return _scale_penalties(found, RAISE) or (_penalties(found, "gradient_penalty.r1"),)


STRONGER_DISCRIMINATOR = (
    "raise config.optimizers.{player}.learning_rate or config.networks.{network}.widths",
    "lower gamma in {path}.penalties",
)


def stronger_discriminator(config: RunConfig, player: str) -> tuple[str, ...]:
    """Weaker penalties; a higher learning rate if it has none."""
    found = _adversary(config, player)
    return (found and _scale_penalties(found, 1 / RAISE)) or _rate(config, player, 2.0)


LOWER_RATE = (f"{_LOWER_RATE} or set config.optimizers.{{player}}.clip_global_norm",)


def lower_rate(config: RunConfig, player: str) -> tuple[str, ...]:
    """A third of the player's learning rate."""
    return _rate(config, player, 1 / 3) or clip(player)


def clip(player: str) -> tuple[str, ...]:
    """A bound on the norm of the player's gradient."""
    return (f"--config.optimizers.{player}.clip_global_norm=1.0",)


LIVELIER_LOSS = (
    "set {path}.loss to one that does not saturate ('adversarial.relativistic', 'adversarial.non_saturating')",
    _LOWER_RATE,
)


def livelier_loss(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """A loss whose gradient does not vanish; a weaker discriminator if the loss is such a one already."""
    found = _adversary(config, player)
    if found is not None and found.section.get("loss") == "adversarial.minimax":
        return (f"--{found.path}.loss=adversarial.non_saturating",)
    return weaker_discriminator(config, player)


MORE_MODES = (
    "set {path}.loss='adversarial.relativistic' with gradient_penalty.r1 and gradient_penalty.r2 in {path}.penalties",
    "train longer (config.images), which may be all that is missing early in a run",
)


def more_modes(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """A relativistic loss with R1 and R2 (Huang et al. 2024); stronger penalties if the config has all of that."""
    found = _adversary(config, player)
    if found is None:
        return ()
    changes: tuple[str, ...] = ()
    if found.section.get("loss") != "adversarial.relativistic":
        changes = (f"--{found.path}.loss=adversarial.relativistic",)
    names = {penalty.get("name") for penalty in found.section.get("penalties", ())}
    if names >= set(ZERO_CENTRED_PENALTIES):
        return changes or _scale_penalties(found, RAISE)
    return (*changes, _penalties(found, *ZERO_CENTRED_PENALTIES))


MORE_MOTION = (
    "raise config.task.frames_seen or lower config.networks.generator.motion.every, if the config has them",
    "do as against mode collapse",
)


def more_motion(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """More frames of each clip for the discriminator, and faster motion codes; else the remedies for mode collapse."""
    seen, motion = config.task.get("frames_seen"), config.networks.get("generator", {}).get("motion", {})
    every = motion.get("every")
    changes = []
    if isinstance(seen, int) and seen < (config.data.frames or seen + 1):
        changes.append(f"--config.task.frames_seen={seen + 1}")
    if isinstance(every, int | float):
        changes.append(f"--config.networks.generator.motion.every={every / 2:g}")
    return tuple(changes) or more_modes(config, player)


MORE_DATA = (
    "set {path}.augment (such as ada.ADA or diffaugment.DiffAugment)",
    "raise gamma in {path}.penalties",
    "train on more images",
)


def augment(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """Augmentation; stronger penalties if the config has it already."""
    found = _adversary(config, player)
    if found is not None and found.section.get("augment") is None:
        return (f"--{found.path}.augment=\"{{'name': '{ADA}'}}\"",)
    return weaker_discriminator(config, player)


def evaluate(config: RunConfig) -> tuple[str, ...]:
    """Evaluations during training."""
    return (f"--config.evaluation.every_images={500 * config.batch_size}",)


def shorter(images: int) -> tuple[str, ...]:
    """A run that ends at the best evaluation."""
    return (f"--config.images={images}",)


def _adversary(config: RunConfig, player: str | None) -> Adversary | None:
    """The adversary of a player; for any other player the first one; None if the config has none."""
    found = config.adversaries
    return found.get(str(player)) or next(iter(found.values()), None)


def _scale_penalties(adversary: Adversary, factor: float) -> tuple[str, ...]:
    changes = []
    for index, penalty in enumerate(adversary.section.get("penalties", ())):
        for key in ("gamma", "weight"):
            value: Any = penalty.get(key)
            path = f"--{adversary.path}.penalties.{index}.{key}"
            if isinstance(value, Mapping):  # a schedule
                changes += [
                    f"{path}.{end}={value[end] * factor:.4g}" for end in ("start", "stop", "value") if end in value
                ]
            elif isinstance(value, int | float):
                changes.append(f"{path}={value * factor:.4g}")
            elif key == "gamma" and penalty.get("name") in ZERO_CENTRED_PENALTIES:
                changes.append(f"{path}={FIRST_GAMMA * factor:.4g}")  # its default is 1
    return tuple(changes)


def _penalties(adversary: Adversary, *names: str) -> str:
    """The present penalties and those named, as one flag."""
    sections = [dict(penalty) for penalty in adversary.section.get("penalties", ())]
    present = {section.get("name") for section in sections}
    sections += [{"name": name, "gamma": FIRST_GAMMA} for name in names if name not in present]
    return f'--{adversary.path}.penalties="{tuple(sections)}"'


def _rate(config: RunConfig, player: str, factor: float) -> tuple[str, ...]:
    section = config.optimizers.get(player, {})
    value: Any = section.get("learning_rate")
    path = f"--config.optimizers.{player}.learning_rate"
    if isinstance(value, Mapping):
        return tuple(f"{path}.{end}={value[end] * factor:.2g}" for end in ("start", "stop", "value") if end in value)
    return (f"{path}={value * factor:.2g}",) if isinstance(value, int | float) else ()
