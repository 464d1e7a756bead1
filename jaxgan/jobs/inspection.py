"""Pictures for inspecting a generator: style mixing, nearest training images, and scores over truncation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from jaxgan.cli.marking import Marking
from jaxgan.config.run import RunConfig
from jaxgan.errors import UserError
from jaxgan.evaluators.choice import make_evaluators, with_samples
from jaxgan.evaluators.evaluator import Generate
from jaxgan.evaluators.neighbours import make_neighbour_search
from jaxgan.evaluators.samples import generate_with
from jaxgan.evaluators.truncation import PSI, THRESHOLDS, Truncated, truncation_sweep
from jaxgan.fields import name_of, text_of
from jaxgan.inference.model import Model
from jaxgan.media.grids import save_grid
from jaxgan.media.images import save_image, to_uint8
from jaxgan.reporting.plots import check_extra
from jaxgan.system.paths import cache_dir
from jaxgan.system.whole_files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAIRS, PAIR_COLUMNS = 24, 3  # pairs of a sample and its nearest training image in the picture
PANEL = (4.6, 3.4)  # inches
COLOR, OTHER_COLOR = "#4c72b0", "#dd8452"


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """The checked options; `truncations` has at most one value, except for the kind `truncation`."""

    config: RunConfig
    seed: int
    count: int
    labels: list[int] | None
    texts: tuple[str, ...]
    output: str
    truncations: tuple[float, ...]
    crossover: int | None
    marking: Marking
    allow: tuple[str, ...] = ()  # packages allowed in configs besides jaxgan
    over: str = "content"  # of clips: the part of the latents that an interpolation changes

    @property
    def truncation(self) -> float | None:
        """The single value, or None."""
        return self.truncations[0] if self.truncations else None

    def given(self, generator: Model, count: int) -> dict[str, np.ndarray]:
        """The conditions of `count` samples, by field: labels or texts repeated in turn; else see `Model.given`.

        Raises UserError for conditions that the model does not take.
        """
        labels = None if self.labels is None else np.resize(np.asarray(self.labels, np.int32), count)
        field = name_of(generator.asks, "tokens")
        if self.texts and field is None:
            raise UserError(f"--given: got a text, expected {text_of(generator.asks)}, which this model asks for")
        texts = {field: np.resize(self.texts, count)} if self.texts and field else {}
        return generator.given(self.seed, count, labels, texts)

    def samples(self, generator: Model) -> np.ndarray:
        """The requested samples, `[count,H,W,C]`."""
        given = self.given(generator, self.count)
        return generator.generate(self.seed, self.count, given=given, truncation=self.truncation)


MakeSamples = Callable[[Model, SampleOptions], str]


def mixing(generator: Model, chosen: SampleOptions) -> str:
    """Style mixing (Karras et al. 2019, figure 3): coarse styles of the columns, fine styles of the rows.

    Layers before `--crossover` (default: the middle) take the column's style. The first row and column show the
    sources. Raises UserError for a generator without styles, and for a crossover out of range.
    """
    if not generator.has_styles:
        raise UserError("--kind=mixing: got a generator without styles, expected one with styles such as stylegan2")
    latents, given = generator.latents(chosen.seed, 2 * chosen.count), chosen.given(generator, 2 * chosen.count)
    styles = generator.styles(latents, given=given, truncation=chosen.truncation)
    layers = styles.shape[1]
    crossover = layers // 2 if chosen.crossover is None else chosen.crossover
    if not 0 < crossover < layers:
        raise UserError(f"--crossover: got {crossover}, expected 1 to {layers - 1} of {layers} layers")
    coarse, fine = styles[: chosen.count], styles[chosen.count :]
    mixed = [np.concatenate([c[:crossover], f[crossover:]]) for f in fine for c in coarse]
    images = generator.synthesize_styles(np.concatenate([styles, np.stack(mixed)]))
    tops, sides, body = np.split(images, [chosen.count, 2 * chosen.count])
    body = body.reshape(chosen.count, chosen.count, *body.shape[1:])
    rows = [np.concatenate([side[None], row]) for side, row in zip(sides, body)]
    blank = np.ones_like(tops[:1])
    origin = chosen.marking.about("samples of a generator and mixtures of their styles")
    images = np.concatenate([blank, tops, *rows])
    chosen.marking.heard(save_grid(images, chosen.output, columns=chosen.count + 1, origin=origin))
    return f"{chosen.output} (top row: layers up to {crossover}, left column: the {layers - crossover} after them)"


def neighbours(generator: Model, chosen: SampleOptions) -> str:
    """Samples beside their nearest training images, sorted by distance, and a verdict on whether they are copies.

    Prints the verdict, and writes a JSON file of the distances beside the picture.
    """
    search = make_neighbour_search(chosen.config, cache_dir=str(cache_dir() / "classifiers"), allow=chosen.allow)
    samples = to_uint8(chosen.samples(generator))
    found = search(samples)
    order = np.argsort(found.nearest.distances, kind="stable")[:PAIRS]
    pairs = np.stack([samples[order], found.nearest.images[order]], axis=1).reshape(-1, *samples.shape[1:])
    columns = min(PAIR_COLUMNS, len(order))
    distances = [f"{found.nearest.distances[row]:.3g}" for row in order]
    titles = [text for _ in range(columns) for text in ("sample", "nearest")]
    rows = [distances[start] for start in range(0, len(order), columns)]
    origin = chosen.marking.about("samples of a generator beside their nearest training images", mixed=True)
    remarks = save_grid(pairs, chosen.output, columns=2 * columns, column_labels=titles, row_labels=rows, origin=origin)
    chosen.marking.heard(remarks)
    report = {
        **search.manifest,
        "step": generator.step,
        "verdict": found.verdict,
        "share": _finite(found.share),
        "nearer": _finite(found.nearer),
        "near": _finite(found.near),
        "held_out_distances": found.held_out.tolist(),
        "distances": found.nearest.distances.tolist(),
        "indices": found.nearest.indices.tolist(),
    }
    table = _write_json(chosen.output, report)
    middle = f"samples {np.median(found.nearest.distances):.4g}"
    if len(found.held_out):
        middle += f", held-out images {np.median(found.held_out):.4g} (1% of them within {found.near:.4g})"
    print(f"median distance to the nearest of {search.manifest['training_images']} training images: {middle}")
    print(f"features: {search.features}")
    print(found.verdict)
    return f"{chosen.output}, all distances: {table}"


def truncation(generator: Model, chosen: SampleOptions) -> str:
    """Scores at several truncations (`--truncation=0.5,0.7`) and without: a printed table, a plot, a JSON file.

    The plot contains no generated picture, so no origin is written into it.
    """
    check_extra()  # before the expensive part
    fewest = chosen.config.evaluation.neighbours + 1
    if chosen.count < max(2, fewest):
        raise UserError(f"--count: got {chosen.count}, expected {max(2, fewest)} or more")
    if chosen.texts:
        raise UserError("--given: got texts, expected none: --kind=truncation uses captions of the data")
    if chosen.labels is not None:
        raise UserError("--labels: got labels, expected none: --kind=truncation uses the class shares of the data")
    made = make_evaluators(
        with_samples(chosen.config, chosen.count), generator.product, chosen.allow, only_fitting=True
    )
    evaluator = next(iter(made.values())).evaluator
    default = PSI if generator.has_styles else THRESHOLDS
    values = (*sorted(chosen.truncations), None) if chosen.truncations else default

    def truncated(value: float | None) -> Generate:
        return generate_with(lambda seed, n, labels: generator.generate(seed, n, labels, truncation=value))

    swept = truncation_sweep(truncated, evaluator, values, chosen.seed)
    name = "psi" if generator.has_styles else "threshold"
    _plot(swept, name, chosen.output)
    rows = [{"truncation": each.truncation, **each.scores} for each in swept]
    table = _write_json(
        chosen.output, {"step": generator.step, "kind": name, "scores": rows, "manifest": dict(evaluator.manifest)}
    )
    print(f"{name:>10}" + "".join(f"{score:>12}" for score in swept[0].scores))
    for each in swept:
        print(f"{_name(each.truncation):>10}" + "".join(f"{score:12.4f}" for score in each.scores.values()))
    return f"{chosen.output}, table: {table}"


def _plot(swept: Sequence[Truncated], name: str, output: str) -> None:
    """Plots the distance over truncation, and precision against recall if they were measured."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # imported late, as it loads slowly
    from matplotlib.figure import Figure

    distance, *shown = swept[0].scores
    places, ticks = range(len(swept)), [_name(each.truncation) for each in swept]
    panels = 2 if shown else 1
    figure = Figure(figsize=(panels * PANEL[0], PANEL[1]), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left = figure.add_subplot(1, panels, 1)
    left.plot(places, [each.scores[distance] for each in swept], color=COLOR, marker="o", markersize=4)
    left.set_xticks(places, ticks)
    left.set_xlabel(name)
    left.set_ylabel(f"{distance} (lower is better)")
    left.set_ylim(bottom=0)
    if shown:
        right = figure.add_subplot(1, panels, 2)
        _plot_shown(right, swept, shown, name, ticks)
    canvas.draw()
    save_image(np.asarray(canvas.buffer_rgba())[..., :3], output)


def _plot_shown(axes: Axes, swept: Sequence[Truncated], shown: Sequence[str], name: str, ticks: list[str]) -> None:
    curves = {score: [each.scores[score] for each in swept] for score in shown}
    if len(curves) == 1:
        ((score, values),) = curves.items()
        axes.plot(range(len(swept)), values, color=OTHER_COLOR, marker="o", markersize=4)
        axes.set_xticks(range(len(swept)), ticks)
        axes.set_xlabel(name)
        axes.set_ylabel(score)
        return
    axes.plot(curves["recall"], curves["precision"], color=OTHER_COLOR, marker="o", markersize=4)
    axes.margins(0.18)
    for index, tick in enumerate(ticks):
        place = (curves["recall"][index], curves["precision"][index])
        offset = (5, 5) if index % 2 else (-5, -12)  # alternate sides, so that labels of near points do not overlap
        axes.annotate(tick, place, textcoords="offset points", xytext=offset, ha="left" if index % 2 else "right")
    axes.set_xlabel("recall")
    axes.set_ylabel(f"precision, at each {name}")


def _name(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _write_json(picture: str, report: object) -> epath.Path:
    path = epath.Path(picture).with_suffix(".json")
    replace_file(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    return path
