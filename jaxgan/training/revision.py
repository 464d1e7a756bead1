"""What a run of an older revision is to be told when it resumes: how it was trained until then.

The revision is a number in every checkpoint's record (`formats.REVISION`); it is raised when a config trains otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgan.checkpoints.manifest import config_of
from jaxgan.game import Phase
from jaxgan.training.optimizers import lazy_correction


def changes_since(record: Mapping[str, Any], phases: Sequence[Phase]) -> list[str]:
    """What a resumed run is to be told, a line each: how it has been trained until now, and no longer is."""
    lines, images = [], record["images_seen"]
    if record.get("revision", 1) < 2:
        shares = {player: _share_of_rate(phases, player, images) for player in {phase.player for phase in phases}}
        told = [
            f"{shares[player]:.3g} times the {player}'s" for player in sorted(shares) if abs(shares[player] - 1) > 1e-6
        ]
        if told:
            lines.append(
                f"up to image {images:,} an older version of jaxgan trained this run with {' and '.join(told)} "
                "learning rate; from here on the rates are those of the config"
            )
        section = config_of(record).get("task", {})
        named = isinstance(section, Mapping) and str(section.get("name", ""))
        if named and named.endswith("progressive.Progressive") and images:
            lines.append(
                f"up to image {images:,} an older version of jaxgan trained this run, whose stages began "
                f"{section.get('fade_images', 600_000):,} images (config.task.fade_images) later than they do now: "
                "where a stage should have begun by now, its layers come without a fade and without fresh moments"
            )
    return lines


def _share_of_rate(phases: Sequence[Phase], player: str, images: int) -> float:
    """What the first revision made of a rate: it counted the phases of all stages, and those that are not lazy, too."""
    intervals = [phase.every for phase in phases if phase.player == player]
    former = 1 / sum(min(intervals) / every for every in intervals)
    shares = [former / factor for start, factor in lazy_correction(phases, player) if start < images]
    return max(shares, key=lambda share: abs(share - 1), default=1.0)
