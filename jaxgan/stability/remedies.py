"""Which lines of a config to change, with its own names and values, as flags of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxgan.config.run import Adversary, RunConfig

ZERO_CENTRED = ("gradient_penalty.r1", "gradient_penalty.r2")
FIRST_GAMMA = 1.0
RAISE = 10.0
ADA, DIFF_AUGMENT = "ada.ADA", "diffaugment.DiffAugment"


def weaker_discriminator(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """More of its penalty, or a first one; a lower rate of a player whose adversary has no section."""
    found = _adversary(config, player)
    if found is None:
        return () if player is None else lower_rate(config, player)
    return _scale_penalties(found, RAISE) or (_penalties(found, "gradient_penalty.r1"),)


def stronger_discriminator(config: RunConfig, player: str) -> tuple[str, ...]:
    """Less of its penalty; a higher rate of the player where it has none."""
    found = _adversary(config, player)
    return (found and _scale_penalties(found, 1 / RAISE)) or _rate(config, player, 2.0)


def lower_rate(config: RunConfig, player: str) -> tuple[str, ...]:
    """A third of the player's learning rate."""
    return _rate(config, player, 1 / 3) or clip(player)


def clip(player: str) -> tuple[str, ...]:
    """A bound on the norm of the player's gradient."""
    return (f"--config.optimizers.{player}.clip_global_norm=1.0",)


def livelier_loss(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """A loss whose gradient does not vanish; a weaker discriminator where it has one."""
    found = _adversary(config, player)
    if found is not None and found.section.get("loss") == "adversarial.minimax":
        return (f"--{found.path}.loss=adversarial.non_saturating",)
    return weaker_discriminator(config, player)


def more_modes(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """Relativistic pairing with R1 and R2 (Huang et al. 2024), or more of both."""
    found = _adversary(config, player)
    if found is None:
        return ()
    changes: tuple[str, ...] = ()
    if found.section.get("loss") != "adversarial.relativistic":
        changes = (f"--{found.path}.loss=adversarial.relativistic",)
    names = {penalty.get("name") for penalty in found.section.get("penalties", ())}
    if names >= set(ZERO_CENTRED):
        return changes or _scale_penalties(found, RAISE)
    return (*changes, _penalties(found, *ZERO_CENTRED))


def more_motion(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """More frames of each clip to judge, and faster codes of motion; else what helps against mode collapse."""
    seen, motion = config.task.get("frames_seen"), config.networks.get("generator", {}).get("motion", {})
    every = motion.get("every")
    changes = []
    if isinstance(seen, int) and seen < (config.data.frames or seen + 1):
        changes.append(f"--config.task.frames_seen={seen + 1}")
    if isinstance(every, int | float):
        changes.append(f"--config.networks.generator.motion.every={every / 2:g}")
    return tuple(changes) or more_modes(config, player)


def augment(config: RunConfig, player: str | None) -> tuple[str, ...]:
    """An augmentation; more of the penalty where there is one already."""
    found = _adversary(config, player)
    if found is not None and found.section.get("augment") is None:
        return (f"--{found.path}.augment=\"{{'name': '{ADA}'}}\"",)
    return weaker_discriminator(config, player)


def evaluate(config: RunConfig) -> tuple[str, ...]:
    """Scores while it trains."""
    return (f"--config.evaluation.every_images={500 * config.batch_size}",)


def shorter(images: int) -> tuple[str, ...]:
    """The length at which it was best."""
    return (f"--config.images={images}",)


def _adversary(config: RunConfig, player: str | None) -> Adversary | None:
    """Of a player; of one that has none the first, where there is one."""
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
            elif key == "gamma" and penalty.get("name") in ZERO_CENTRED:
                changes.append(f"{path}={FIRST_GAMMA * factor:.4g}")  # its default is 1
    return tuple(changes)


def _penalties(adversary: Adversary, *names: str) -> str:
    """The penalties that there are, and these."""
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
