"""Warnings for a run of an older revision that resumes: how its training was different until then.

The revision is a number in the record of every checkpoint (`formats.REVISION`). It is raised whenever the same config
begins to train differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgan.checkpoints.manifest import config_of
from jaxgan.game import Phase
from jaxgan.training.optimizers import lazy_correction


def changes_since(record: Mapping[str, Any], phases: Sequence[Phase]) -> list[str]:
    """The differences in training before and after the resumption, one line each."""
    lines, images = [], record["images_seen"]
    if record.get("revision", 1) < 2:
        shares = {player: _share_of_rate(phases, player, images) for player in {phase.player for phase in phases}}
        rates = [
            f"{shares[player]:.3g} times the {player}'s" for player in sorted(shares) if abs(shares[player] - 1) > 1e-6
        ]
        if rates:
            lines.append(
                f"up to image {images:,} an older version of jaxgan trained this run with {' and '.join(rates)} "
                "learning rate; from here on the rates are those of the config"
            )
        section = config_of(record).get("task", {})
        named = isinstance(section, Mapping) and str(section.get("name", ""))
        if named and named.endswith("progressive.Progressive") and images:
            lines.append(
                f"up to image {images:,} an older version of jaxgan trained this run; its stages began "
                f"{section.get('fade_images', 600_000):,} images (config.task.fade_images) later than they do now: "
                "if a stage should have begun already, its layers now start without a fade and without fresh moments"
            )
    return lines


def _share_of_rate(phases: Sequence[Phase], player: str, images: int) -> float:
    """The factor that the first revision applied to a rate: it counted the phases of all stages, lazy or not."""
    intervals = [phase.every for phase in phases if phase.player == player]
    former = 1 / sum(min(intervals) / every for every in intervals)
    shares = [former / factor for start, factor in lazy_correction(phases, player) if start < images]
    return max(shares, key=lambda share: abs(share - 1), default=1.0)
