"""Plots of a run's scalars: losses, gradients, logits and scores over the images seen."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import UserError
from jaxgan.reporting.writer import read_scalars
from jaxgan.system.whole_files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]  # by name: images [n], values [n]

COLORS = {"discriminator": "#c44e52", "generator": "#4c72b0", "real": "#2a7f3f", "fake": "#dd8452"}
OTHER_COLORS = ("#8172b3", "#937860", "#64b5cd", "#8c8c8c", "#da8bc3", "#ccb974")
SMOOTHED_FROM = 40  # points; longer curves get a running mean
PANEL = (7.0, 3.2)  # inches
NO_SCORES = ("skipped", "skipped_in_a_row", "throughput")
NEEDED = "they need the package matplotlib: pip install -e '.[plots]'"


def can_plot() -> bool:
    """Whether the extra `[plots]` is installed; matplotlib is not imported."""
    return importlib.util.find_spec("matplotlib") is not None


def check_extra() -> None:
    """Raise UserError if the extra `[plots]` is not installed."""
    if not can_plot():
        raise UserError(f"plots cannot be drawn: {NEEDED}")


def write_plots(workdir: str | os.PathLike[str]) -> list[epath.Path]:
    """Plots the `scalars.jsonl` of a work directory into `plots/*.png`. Returns the paths written.

    `losses`, `gradients` and `logits` (with the discriminator's accuracy) are the metrics of training, `throughput`
    comes from the meter, `scores` from evaluations. A plot without curves is not written. Raises UserError if the extra
    `[plots]` is not installed.
    """
    check_extra()
    paths = Workdir(os.fspath(workdir))
    curves = _curves(read_scalars(paths.scalars))
    written = []
    for name, draw in PLOTS.items():
        figure = draw(curves)
        if figure is not None:
            written.append(paths.plots / f"{name}.png")
            replace_file(written[-1], _png(figure))
    return written


def _curves(lines: Sequence[Mapping[str, Any]]) -> Curves:
    points: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line["scalars"].items():
            points.setdefault(name, []).append((line["images"], value))
    arrays = {name: np.array(rows, float) for name, rows in points.items()}
    return {name: (rows[:, 0], rows[:, 1]) for name, rows in arrays.items()}


def _losses(curves: Curves) -> Figure | None:
    return _figure({"loss": _by_phase(curves, "loss")})


def _gradients(curves: Curves) -> Figure | None:
    norms = _by_phase(curves, "grad_norm")
    figure = _figure({"gradient norm": norms})
    if figure is not None and any((values > 0).any() for _, values in norms.values()):
        figure.axes[0].set_yscale("log", nonpositive="mask")
    return figure


def _logits(curves: Curves) -> Figure | None:
    panels = {
        "logits (mean)": {n: c for n, c in curves.items() if n.endswith(("/real_logits", "/fake_logits"))},
        "accuracy": {n: c for n, c in curves.items() if n.endswith(("/accuracy", "_accuracy"))},
    }
    figure = _figure(panels)
    if figure is not None and panels["accuracy"]:
        figure.axes[-1].set_ylim(-0.03, 1.03)
        figure.axes[-1].axhline(0.5, color="0.6", linewidth=0.8, linestyle="--")  # chance
    return figure


def _throughput(curves: Curves) -> Figure | None:
    metered = {n.removeprefix("throughput/"): c for n, c in curves.items() if n.startswith("throughput/")}
    shares = {n.removesuffix("_share"): c for n, c in metered.items() if n.endswith("_share") and c[1].any()}
    return _figure(
        {
            "images/s": {n: c for n, c in metered.items() if n == "images_per_second"},
            "utilisation": {n: c for n, c in metered.items() if n == "utilization"},
            "share of time": shares,
        }
    )


def _scores(curves: Curves) -> Figure | None:
    """One panel per score, with its features in the legend."""
    phases = {name.rpartition("/")[0] for name in curves if name.endswith(("/loss", "/grad_norm"))}
    panels: dict[str, dict[str, Any]] = {}
    for name, curve in sorted(curves.items()):
        score, _, features = name.rpartition("/")
        if (score or features) not in (*phases, *NO_SCORES):
            panels.setdefault(score or features, {})[features] = curve
    return _figure(panels, columns=1 if len(panels) == 1 else 2)


PLOTS: Mapping[str, Callable[[Curves], Figure | None]] = {
    "losses": _losses,
    "gradients": _gradients,
    "logits": _logits,
    "throughput": _throughput,
    "scores": _scores,
}


def _by_phase(curves: Curves, metric: str) -> Curves:
    return {n.removesuffix(f"/{metric}"): curve for n, curve in curves.items() if n.endswith(f"/{metric}")}


def _figure(panels: Mapping[str, Curves], columns: int = 1) -> Figure | None:
    """One panel for each label that has curves; None if there are no curves."""
    panels = {label: curves for label, curves in panels.items() if curves}
    if not panels:
        return None
    # not at the top: it takes long to load
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(panels) // columns)
    width = PANEL[0] if columns == 1 else 0.7 * PANEL[0]
    figure = Figure(figsize=(columns * width, rows * PANEL[1]), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for index, (label, curves) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        _draw(axes, label, curves)
    return figure


def _draw(axes: Axes, label: str, curves: Curves) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    others = iter(OTHER_COLORS * (1 + len(curves) // len(OTHER_COLORS)))
    for name, (images, values) in curves.items():
        color = _color(name) or next(others)
        if len(values) <= SMOOTHED_FROM:
            axes.plot(images, values, color=color, label=name, linewidth=1.4, marker="o", markersize=3)
            continue
        axes.plot(images, values, color=color, linewidth=0.7, alpha=0.3)
        axes.plot(images, _smooth(values), color=color, label=name, linewidth=1.6)
    axes.set_ylabel(label)
    axes.set_xlabel("images")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))


def _color(name: str) -> str | None:
    """The colour of a player, or of real and fake."""
    return COLORS.get(name.rpartition("/")[2].removesuffix("_logits"))


def _smooth(values: np.ndarray) -> np.ndarray:
    """A centred running mean over a twentieth of the points, ignoring those that are not finite."""
    half = max(1, len(values) // 40)
    finite = np.isfinite(values)
    padded = np.pad(np.stack([np.where(finite, values, 0.0), finite]), ((0, 0), (half + 1, half)))
    sums = np.cumsum(padded, axis=1)
    total, count = sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
