"""`--mode=train`: trains a config in a workdir, or resumes its run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from jaxgan.building.assemble import check_data, fill_in, frozen_weights, make_task
from jaxgan.building.initial import make_begin
from jaxgan.building.opening import open_source, open_sources
from jaxgan.building.parts import flipped, make_init, make_optimizers, make_step, root_key
from jaxgan.building.pipelines import make_pipeline
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.checkpoints.identity import compare_data, describe_data, earlier_data
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.cli.options import allowed
from jaxgan.cli.setup import check_config, keep_config, spelled_as_begun, start_jax
from jaxgan.config.domains import MOST
from jaxgan.config.run import RunConfig, to_json
from jaxgan.data.account import account, held
from jaxgan.data.sources import DataSpec, Source, joined
from jaxgan.errors import FINISHED, UserError
from jaxgan.evaluators.choice import UNNAMED, Scheduled, choose_best, make_evaluators, manifests
from jaxgan.evaluators.evaluator import Evaluator
from jaxgan.evaluators.score_files import CONTENTS, check_same, read_report, write_report
from jaxgan.fields import MAIN, frames
from jaxgan.game import Product, State, Task, images_shown, product_of
from jaxgan.jobs.views import View, make_view
from jaxgan.media.images import save_image
from jaxgan.media.videos import FRAMES_PER_SECOND, save_animation, usual_suffix
from jaxgan.models.pretrained.published import read_weights
from jaxgan.parallel import distributed
from jaxgan.parallel.mesh import check_batch, check_memory, make_mesh
from jaxgan.parallel.peaks import peak_flops
from jaxgan.parallel.runners import RUNNERS
from jaxgan.reporting.plots import NEEDED, can_plot, write_plots
from jaxgan.reporting.profiling import Profile, ProfiledRunner, read_profile
from jaxgan.reporting.progress import Progress, console, say, setup_logging
from jaxgan.reporting.throughput import Meter
from jaxgan.reporting.writer import Writer
from jaxgan.stability.ranges import normal_ranges
from jaxgan.stability.watch import Watch
from jaxgan.system import signals
from jaxgan.system.plain import plain
from jaxgan.training.batches import example_batch
from jaxgan.training.endings import gives_up_on_disks, gives_up_on_images, gives_up_on_memory
from jaxgan.training.feed import make_play
from jaxgan.training.loop import Intervals, Loop

log = logging.getLogger(__name__)


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Trains to the end of the config and returns the exit status. Mistakes are reported before anything is written.

    Raises UserError, and TrainingGaveUp after too many rollbacks.
    """
    profile = read_profile(options.get("profile"), workdir)
    processes = distributed.read_processes(options)
    with signals.listening():
        try:
            start_jax(config)
            signals.check()
            with distributed.joined(processes), _heard_together():
                return _run(config, workdir, profile, allowed(options))
        except signals.SignalReceived:
            say("interrupted before training started; the same command continues from here")
            return signals.status()


def _heard_together() -> contextlib.AbstractContextManager[None]:
    """Shares signals between several processes, so that they end together."""
    return signals.shared() if distributed.several() else contextlib.nullcontext()


def _run(config: RunConfig, workdir: str, profile: Profile | None, allow: tuple[str, ...]) -> int:
    place = Workdir(workdir)
    config = spelled_as_begun(place, config)
    with distributed.leader_first("data"), held():
        sources = open_sources(config, allow)
        held_out = _held_out(config, allow)
    signals.check()
    spec = joined({name: source.spec for name, source in sources.items()})
    source, more = sources.pop(MAIN), sources
    data = describe_data(source, held_out, more)
    changed = _check_data(place, data)
    config = fill_in(config, spec, allow)
    task = make_task(config, allow)
    check_data(task, spec)
    with distributed.leader_first("evaluator"), held():
        evaluators = make_evaluators(config, product_of(task)[1], allow)
    config = dataclasses.replace(config, checkpoint=choose_best(config.checkpoint, evaluators))
    state = _check_networks(config, task, spec)
    check_config(place, config)
    notes = [changed, _check_scores(place, evaluators)]
    begin = make_begin(config, task, read=read_weights, frozen=frozen_weights(config), allow=allow)
    mesh = make_mesh(config.parallel.mesh)
    check_batch(config.batch_size, config.microbatches, mesh)
    networks, batch = "the state of networks and optimizers", f"a batch of {config.batch_size:,} images"
    check_memory(state, mesh, what=networks, advice="check the widths and the latents of the config")
    shapes = jax.eval_shape(lambda: example_batch(spec.fields, config.batch_size))
    check_memory(shapes, mesh, what=batch, advice="give a smaller --config.batch_size")
    images = total_images(config, spec, images_shown(task, spec.fields))
    leading = distributed.leading()
    signals.check()
    with contextlib.ExitStack() as stack:
        stack.enter_context(gives_up_on_disks(place))
        stack.enter_context(gives_up_on_memory(place))
        with distributed.leader_first("workdir"):
            if leading:
                place.create()
                stack.enter_context(place.lock())
            stack.callback(setup_logging(place.log, enabled=leading))
            if leading:
                keep_config(place, config)
                unseen = None if held_out is None else held_out.spec
                others = {name: each.spec for name, each in more.items()}
                _report_data(account(spec, unseen, config.batch_size, others), notes)
        signals.check()
        checkpoints = stack.enter_context(
            Checkpoints(
                place.checkpoints,
                keep=config.checkpoint.keep,
                best=config.checkpoint.best,
                best_mode=config.checkpoint.best_mode,
                config=json.loads(to_json(config)),
                class_names=spec.classes,
                names={name: field.names for name, field in spec.fields.items() if field.names and name != "label"},
                data=data,
            )
        )
        started = time.monotonic()
        outcome = f"this run is already finished: {images:,} images"
        if checkpoints.images_seen < images:
            status = _train(config, place, spec, task, begin, mesh, checkpoints, evaluators, images, profile, allow)
            if status != FINISHED:
                return status
            outcome = f"finished: {images:,} images, {time.monotonic() - started:.0f} s since this start"
        checkpoints.wait()
        if leading:
            closing = f"{outcome}\n{_where_things_are(place, checkpoints, product_of(task)[1], evaluators, allow)}"
            console.print(closing, markup=False, highlight=False, soft_wrap=True)
        return FINISHED


def _held_out(config: RunConfig, allow: tuple[str, ...]) -> Source | None:
    """The split that is held out for scores; None if scores use the training split."""
    data = config.data
    return None if data.evaluation_split == data.split else open_source(data, data.evaluation_split, allow)


def _check_data(place: Workdir, data: Mapping[str, Any]) -> str:
    """One line on what changed in the data since the last start. Raises UserError if the classes changed."""
    earlier = distributed.by_leader("earlier data", lambda: earlier_data(place.checkpoints))
    return compare_data(earlier, data, f"the run in {place.root}")


def _report_data(lines: Sequence[str], notes: Sequence[str]) -> None:
    """Prints and logs, once per start, what was found in the data and how it is used."""
    for line in lines:
        log.info("%s", line)
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for note in filter(None, notes):
        log.warning("%s", note)


def _check_networks(config: RunConfig, task: Task, spec: DataSpec) -> State:
    """The shapes of the initial state. Raises UserError if it cannot be built."""
    try:
        return jax.eval_shape(make_init(config, task, make_optimizers(config, task), spec))
    except UserError:
        raise
    except Exception as error:  # any error of a network
        raise UserError(f"the networks cannot be built: {type(error).__name__}: {error}") from None


def _check_scores(place: Workdir, evaluators: Mapping[str, Scheduled]) -> str:
    """A note on whether earlier scores are comparable with new ones of the same evaluators; empty if they are.

    Raises UserError if they were made with other settings, so that no best checkpoint could be chosen.
    """
    if not distributed.by_leader("earlier scores", place.scores.exists):
        return ""
    earlier = read_report(place.scores)["manifest"]
    earlier = earlier if all(isinstance(each, Mapping) for each in earlier.values()) else {UNNAMED: earlier}
    both = [(evaluators[name].evaluator, theirs) for name, theirs in earlier.items() if name in evaluators]
    return "; ".join(dict.fromkeys(filter(None, (_check_manifest(place, *each) for each in both))))


def _check_manifest(place: Workdir, evaluator: Evaluator, theirs: Mapping[str, Any]) -> str:
    ours = dict(evaluator.manifest)
    if CONTENTS not in theirs:  # written by an older version
        ours.pop(CONTENTS, None)
    elif ours.get(CONTENTS, theirs[CONTENTS]) != theirs[CONTENTS]:
        return "earlier scores were computed on other data: new scores are not comparable with them"
    if "labels" in ours and "labels" not in theirs and ours | {"labels": None} == {**theirs, "labels": None}:
        return f"earlier scores used samples of all classes in turn; from now on labels are drawn {ours['labels']}"
    if str(theirs.get("features")).startswith("['patches") and str(ours.get("features")).startswith("self"):
        raise UserError(
            f"the run in {place.root} was scored with patches: continue with --config.evaluation.features=patches"
        )
    check_same(ours, theirs, f"the run in {place.root}")
    return ""


@contextlib.contextmanager
def _plotted(place: Workdir) -> Iterator[None]:
    """Writes the plots at the end, also after an error, which takes precedence over a failure to write them."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            write_plots(place.path)
        raise
    write_plots(place.path)


def total_images(config: RunConfig, spec: DataSpec, shown: int) -> int:
    """The number of images of a run: that of the config, rounded up to whole batches.

    `shown`: images per example in a round. Raises UserError if `images_seen` could overflow.
    """
    images = config.images if config.images is not None else (config.epochs or 0) * spec.size * shown
    total = math.ceil(images / (config.batch_size * shown)) * config.batch_size * shown
    if total > MOST:
        asked = f"images: got {config.images}" if config.images is not None else f"epochs: got {config.epochs}"
        size = f"{total:.10g} images in batches of {config.batch_size} of {spec.size:,} examples"
        raise UserError(f"config.{asked}, which is {size}; expected at most {MOST} images")
    return total


def _train(
    config: RunConfig,
    place: Workdir,
    spec: DataSpec,
    task: Task,
    begin: Callable[[State], State],
    mesh: Mesh,
    checkpoints: Checkpoints,
    evaluators: Mapping[str, Scheduled],
    images: int,
    profile: Profile | None,
    allow: tuple[str, ...],
) -> int:
    optimizers = make_optimizers(config, task)
    step = make_step(config, task, optimizers, frames=images_shown(task, spec.fields))
    play = make_play(step, spec.fields, root_key(config), flipped=flipped(config))
    scorers = {name: each.evaluator for name, each in evaluators.items()}
    view, leading = make_view(config, spec, task, scorers, mesh, allow), distributed.leading()
    writer = Writer(place.path, tensorboard=config.tensorboard, resume_at=checkpoints.latest, enabled=leading)
    with contextlib.ExitStack() as stack:
        if config.plots and leading:
            if can_plot():
                stack.enter_context(_plotted(place))  # also written if training gives up
            else:
                say(f"no plots are written: {NEEDED}")
        stack.enter_context(writer)
        progress = stack.enter_context(Progress(images, enabled=leading))
        pipelines = {
            name: make_pipeline(data, seed=config.seed, allow=allow, name=name) for name, data in config.sources.items()
        }
        runner = RUNNERS[config.parallel.runner](play, mesh)
        if profile is not None and leading:  # other processes on the host would overwrite it
            runner = stack.enter_context(ProfiledRunner(runner, profile))
        return Loop(
            phases=task.phases(),
            runner=runner,
            pipeline=pipelines.pop(MAIN),
            more=pipelines,
            checkpoints=checkpoints,
            writer=writer,
            progress=progress,
            watch=Watch(config.watch, normal_ranges(config), phases=task.phases(), players=task.players),
            init=make_init(config, task, optimizers, spec),
            begin=begin,
            evaluate=_make_evaluate(place, view, scorers),
            show_samples=_make_show_samples(place, view, writer),
            intervals=Intervals(
                images=images,
                log=config.log_every,
                samples=config.samples.every_images,
                evaluation={name: each.every_images for name, each in evaluators.items()},
                checkpoint=config.checkpoint.every_images,
            ),
            batch_size=config.batch_size,
            frames=images_shown(task, spec.fields),
            rounds_per_dispatch=config.rounds_per_dispatch,
            max_rollbacks=config.watch.max_rollbacks,
            hung_seconds=config.watch.hung_seconds,
            meter=Meter(devices=mesh.size, peak_flops=peak_flops(mesh.devices.flat[0].device_kind)),
        ).run()


def _make_evaluate(
    place: Workdir, view: View, evaluators: Mapping[str, Evaluator]
) -> Callable[[State, int, Sequence[str]], dict[str, float]]:
    def evaluate(state: State, images: int, due: Sequence[str]) -> dict[str, float]:
        with gives_up_on_images(place):
            scores, manifest = view.scores(state, due), manifests({name: evaluators[name] for name in due})
        if distributed.leading():
            kept = {name: value for name, value in scores.items() if not name.startswith("held_out/")}
            write_report(place.scores, {"images": images, "scores": kept, "manifest": manifest})
        return scores

    return evaluate


def _make_show_samples(place: Workdir, view: View, writer: Writer) -> Callable[[State, int], None]:
    def show_samples(state: State, images: int) -> None:
        shown = view.picture(state)
        if shown is None or not distributed.leading():
            return
        save_image(shown.picture, place.samples / f"{images:09}.png")
        writer.write_images(int(state.step), "samples", shown.picture)
        if shown.film is not None:
            save_animation(shown.film, place.samples / f"{images:09}{usual_suffix()}", FRAMES_PER_SECOND)
            writer.write_images(int(state.step), "film", shown.film)

    return show_samples


def _numbered(place: Workdir) -> list[str]:
    """The names of the sample pictures of the run; the user may have moved some away."""
    pictures = place.samples.iterdir() if place.samples.exists() else ()
    return sorted(path.name for path in pictures if path.stem.isdecimal())


def _where_things_are(
    place: Workdir, checkpoints: Checkpoints, product: Product, evaluators: Collection[str], allow: tuple[str, ...]
) -> str:
    """The locations of the results, and the next commands, to print at the end of a run."""
    pictures = _numbered(place)
    scores = read_report(place.scores)["scores"] if place.scores.exists() else {}
    latest_scores: dict[str, float] = {}
    for name, value in scores.items():
        parts = name.split("/")
        latest_scores.setdefault("/".join(parts[: 2 if parts[0] in evaluators else 1]), value)
    latest = checkpoints.latest
    workdir = shlex.quote(plain(place.path)) + (f" --allow={','.join(allow)}" if allow else "")
    command = f"evaluate --workdir={workdir}"
    if product.makes_pixels_of("latent"):
        ways = ("videos", f"walk{usual_suffix()}") if frames(product.gives) > 1 else ("interpolate", "walk.gif")
        command = f"sample --workdir={workdir} --kind={ways[0]} --output={ways[1]}"
    elif product.makes_pixels_of("pixels"):
        command = f"apply --workdir={workdir} --input=photo.jpg --output=restored.png"
    short = ", ".join(f"{name} {value:.3g}" for name, value in latest_scores.items())
    lines = [
        *([f"  pictures    {plain(place.samples / pictures[-1])}"] if pictures else []),
        *([f"  scores      {plain(place.scores)}  ({short})"] if latest_scores else []),
        *([f"  plots       {plain(place.plots)}"] if any(place.plots.glob("*.png")) else []),
        f"  checkpoint  {plain(checkpoints.path(latest)) if latest is not None else 'none'}",
        "try next:",
        f"  python -m jaxgan.main --mode={command}",
        f"  tensorboard --logdir={shlex.quote(plain(place.tensorboard))}",
    ]
    return "\n".join(lines)
