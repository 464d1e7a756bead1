"""The loop on the toy task: resuming, rolling back, stopping."""

import dataclasses
import gc
import os
import signal

import jax
import numpy as np
import pytest
from etils import epath
from toy import BATCH, GivenLatents, make_batch, make_task, optimizers

from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.checkpoints.manifest import read_manifest, write_manifest
from jaxgan.checkpoints.on_disk import ITEMS
from jaxgan.config.run import WatchConfig
from jaxgan.errors import CTRL_C, FINISHED, INTERRUPTED, TrainingGaveUp
from jaxgan.fields import picture_fields
from jaxgan.parallel.mesh import make_mesh
from jaxgan.parallel.runners import JitRunner
from jaxgan.reporting.progress import Progress
from jaxgan.reporting.throughput import Meter
from jaxgan.reporting.writer import Writer, read_scalars
from jaxgan.stability.watch import Watch
from jaxgan.system import signals
from jaxgan.training.feed import make_play
from jaxgan.training.loop import Intervals, Loop
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

STEPS = 6
WATCH = WatchConfig()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@dataclasses.dataclass
class Arrays:
    """A pipeline of 50 random images; from position `poison` on, all batches are NaN."""

    poison: int | None = None
    seen: list = dataclasses.field(default_factory=list)
    cache = "host"
    arrays = None

    def batches(self, position, batch_size, rows):
        self.seen.append(position)
        images = np.random.default_rng(0).integers(0, 256, (50, 2, 2, 1), np.uint8)
        while True:
            wanted = np.arange(position, position + batch_size)[rows] % 50
            batch = images[wanted]
            if self.poison is not None and position >= self.poison:
                batch = np.full(batch.shape, np.nan, np.float32)
            yield {"image": batch}
            position += batch_size


def make_loop(
    folder,
    *,
    images=STEPS * BATCH,
    checkpoint=None,
    rounds=1,
    poison=None,
    after=None,
    watch=WATCH,
    runner=JitRunner,
    task=None,
    frames=1,
):
    task = make_task() if task is None else task
    step = make_train_step(task, optimizers(task), images=BATCH * frames)
    play = make_play(step, picture_fields(2, 2, 1), jax.random.key(0))
    stack = {
        "checkpoints": Checkpoints(folder / "checkpoints", keep=2),
        "writer": Writer(folder, tensorboard=False),
    }
    calls = []

    def evaluate(state, images, due):
        calls.append(("evaluate", images))
        return {"frechet/toy": float(images)}

    def show_samples(state, images):
        calls.append(("samples", images))
        if after is not None and images == after:
            os.kill(os.getpid(), signal.SIGTERM)

    loop = Loop(
        phases=task.phases(),
        runner=runner(play, make_mesh({"data": -1}, jax.devices()[:1])),
        pipeline=Arrays(poison),
        progress=Progress(images, enabled=False),
        watch=Watch(watch),
        init=lambda: init_state(task, optimizers(task), jax.random.key(7), make_batch()),
        evaluate=evaluate,
        show_samples=show_samples,
        intervals=Intervals(images=images, log=2, samples=BATCH, evaluation={"": None}, checkpoint=checkpoint),
        batch_size=BATCH,
        frames=frames,
        rounds_per_dispatch=rounds,
        max_rollbacks=watch.max_rollbacks,
        **stack,
    )
    return loop, calls


def run(folder, **kwargs):
    loop, calls = make_loop(folder, **kwargs)
    with loop.checkpoints, loop.writer:
        return loop.run(), loop, calls


def final(loop):
    with loop.checkpoints:
        restored = loop.checkpoints.restore_latest(loop.runner.place(jax.eval_shape(loop.init)))
    return restored.state


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_two_plus_two_steps_equal_four_bit_for_bit(tmp_path):
    for rounds in (1, 2):
        whole, parts = tmp_path / f"whole{rounds}", tmp_path / f"parts{rounds}"
        _, loop, _ = run(whole, images=4 * BATCH, rounds=rounds)
        run(parts, images=2 * BATCH, rounds=rounds)
        status, resumed, _ = run(parts, images=4 * BATCH, rounds=rounds)
        assert status == FINISHED
        assert resumed.pipeline.seen == [2 * BATCH]
        same(final(resumed), final(loop))


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_position_in_the_data_is_independent_of_the_clock(rounds, tmp_path):
    """Each example counts three frames: data continue by examples, everything else follows the clock."""
    clip = {"frames": 3, "rounds": rounds}
    _, whole, calls = run(tmp_path / "whole", images=4 * 3 * BATCH, **clip)
    run(tmp_path / "parts", images=2 * 3 * BATCH, **clip)
    _, resumed, later = run(tmp_path / "parts", images=4 * 3 * BATCH, **clip)
    assert (whole.pipeline.seen, resumed.pipeline.seen) == ([0], [2 * BATCH])
    assert final(resumed).images_seen == 12 * BATCH
    assert final(resumed).step == 4
    same(final(resumed), final(whole))
    record = read_manifest(resumed.checkpoints.path(4))["record"]
    assert (record["images_seen"], record["positions"]) == (12 * BATCH, {"data": 4 * BATCH})
    assert [images for what, images in later if what == "samples"] == [
        images for what, images in calls if what == "samples" and images > 6 * BATCH
    ]


def test_an_older_run_continues_its_data_at_the_clock(tmp_path):
    run(tmp_path, images=2 * BATCH)
    rewrite(tmp_path / "checkpoints", without="positions")
    _, resumed, _ = run(tmp_path, images=3 * BATCH)
    assert resumed.pipeline.seen == [2 * BATCH]
    assert read_manifest(resumed.checkpoints.path(3))["record"]["positions"] == {"data": 3 * BATCH}


def test_a_run_that_is_rolled_back_reads_again_from_there(tmp_path):
    watch = WatchConfig(max_skipped_in_a_row=1, max_rollbacks=1)
    loop, _ = make_loop(tmp_path, images=18 * BATCH, checkpoint=6 * BATCH, poison=4 * BATCH, watch=watch, frames=3)
    with loop.checkpoints, loop.writer, pytest.raises(TrainingGaveUp):
        loop.run()
    assert loop.pipeline.seen == [0, 4 * BATCH]


class Staged(GivenLatents):
    """The second generator's phase begins when the first one ends."""

    def phases(self):
        discriminator, generator = super().phases()
        stages = (dataclasses.replace(generator, stop=2 * BATCH), dataclasses.replace(generator, start=2 * BATCH))
        return (discriminator, *stages)


def rewrite(folder, *, without):
    """Removes a key from the records, as in checkpoints saved before it existed."""
    for step in epath.Path(folder).iterdir():
        record = read_manifest(step)["record"]
        write_manifest(step, ITEMS, {name: value for name, value in record.items() if name != without})


def test_a_staged_run_of_the_first_revision_is_warned_once_that_its_rate_was_lower(tmp_path, caplog):
    reported = "up to image 24 an older version of jaxgan trained this run with 0.5 times the generator's learning rate"
    task = Staged(**vars(make_task()))
    run(tmp_path, images=3 * BATCH, task=task)
    rewrite(tmp_path / "checkpoints", without="revision")
    for images, expected in ((4, 1), (5, 0)):
        caplog.clear()
        run(tmp_path, images=images * BATCH, task=task)
        assert [reported in record.getMessage() for record in caplog.records].count(True) == expected


def test_side_jobs_run_at_their_intervals(tmp_path):
    status, loop, calls = run(tmp_path, images=3 * BATCH, checkpoint=2 * BATCH)
    assert status == FINISHED
    assert calls == [
        ("samples", BATCH),
        ("samples", 2 * BATCH),
        ("samples", 3 * BATCH),
        ("evaluate", 3 * BATCH),
    ]
    assert loop.checkpoints.steps() == [0, 2, 3]
    rows = read_scalars(tmp_path / "scalars.jsonl")
    assert [row["step"] for row in rows] == [2, 3, 3]
    assert rows[-1]["scalars"] == {"frechet/toy": 3.0 * BATCH}
    assert {"discriminator/loss", "generator/grad_norm", "skipped"} <= rows[0]["scalars"].keys()


def test_every_line_reports_where_the_time_went(tmp_path):
    """With a clock that only these parts advance, and the real FLOPs and memory."""
    clock = Clock()

    class Waiting(Arrays):
        def batches(self, *args):
            for batch in super().batches(*args):
                clock.now += 0.1
                yield batch

    class Playing(JitRunner):
        def flops(self, *args):
            clock.now += 3.0  # compiles
            return super().flops(*args)

        def play(self, *args):
            clock.now += 0.5
            return super().play(*args)

    def show_samples(*_):
        clock.now += 0.2

    loop, _ = make_loop(tmp_path, runner=Playing)
    loop = dataclasses.replace(loop, pipeline=Waiting(), show_samples=show_samples, meter=Meter(clock=clock))
    with loop.checkpoints, loop.writer:
        assert loop.run() == FINISHED
    rows = read_scalars(tmp_path / "scalars.jsonl")[:-1]  # the last has the scores
    reported = [
        {name.removeprefix("throughput/"): value for name, value in row["scalars"].items() if "throughput/" in name}
        for row in rows
    ]
    # a line covers two steps, but the samples of its second step come after it is written
    assert reported[0]["compilation_share"] == pytest.approx(3.5 / (2 * 0.6 + 3.0 + 0.2))
    for values in reported[1:]:
        seconds = 2 * (0.1 + 0.5 + 0.2)
        assert values["data_share"] == pytest.approx(2 * 0.1 / seconds)
        assert values["samples_share"] == pytest.approx(2 * 0.2 / seconds)
        assert values["compilation_share"] == values["evaluation_share"] == values["saves_share"] == 0
        assert values["images_per_second"] == pytest.approx(2 * BATCH / (2 * 0.6))
        assert values["images_per_second_per_device"] == values["images_per_second"]
        assert values["teraflops_per_device"] > 0
        assert 0.05 < values["peak_memory_gigabytes"] < 100
    assert "images/s in training" in loop.meter.summary()


def test_sigterm_saves_and_asks_to_be_restarted(tmp_path):
    status, loop, _ = run(tmp_path, after=2 * BATCH)
    assert status == INTERRUPTED
    assert loop.checkpoints.latest == 2
    status, resumed, _ = run(tmp_path)
    _, unbroken, _ = run(tmp_path / "unbroken")
    assert status == FINISHED
    same(final(resumed), final(unbroken))


def lose(number):
    """Sends a signal inside a callback of the garbage collector, where Python drops a handler's exception."""
    sent = []
    callback = lambda *_: sent or (sent.append(1), os.kill(os.getpid(), number))  # noqa: E731
    gc.callbacks.append(callback)
    gc.collect()
    gc.callbacks.remove(callback)


@pytest.mark.parametrize(
    ("moment", "number", "status"),
    [
        ("play", signal.SIGINT, CTRL_C),
        pytest.param("show_samples", signal.SIGHUP, INTERRUPTED, marks=pytest.mark.slow),
        ("evaluate", signal.SIGHUP, INTERRUPTED),
        pytest.param("save", signal.SIGTERM, INTERRUPTED, marks=pytest.mark.slow),
    ],
)
def test_every_signal_saves_what_was_played(moment, number, status, tmp_path, monkeypatch):
    loop, _ = make_loop(tmp_path)
    loop.intervals = dataclasses.replace(loop.intervals, evaluation={"": BATCH}, checkpoint=BATCH)
    place = {"play": loop.runner, "save": loop.checkpoints}.get(moment, loop)
    original, calls = getattr(place, moment), []

    def hooked(*args, **kwargs):
        calls.append(moment)
        if len(calls) == 2:
            lose(number)
            signals.check() if moment in ("show_samples", "evaluate") else None  # as the real ones do, batch by batch
        return original(*args, **kwargs)

    object.__setattr__(place, moment, hooked)
    with loop.checkpoints, loop.writer:
        assert loop.run() == status
    played = 1 if moment == "save" else 2  # the first save is that of the initial state
    assert loop.checkpoints.latest == played


@pytest.mark.parametrize("moment", [pytest.param("init", marks=pytest.mark.slow), "restore_latest"])
def test_a_signal_before_the_first_round_ends_at_once(moment, tmp_path):
    run(tmp_path, images=BATCH)
    loop, calls = make_loop(tmp_path if moment == "restore_latest" else tmp_path / "new")
    place = {"init": loop.runner, "restore_latest": loop.checkpoints}[moment]
    original = getattr(place, moment)
    object.__setattr__(place, moment, lambda *args, **kwargs: (lose(signal.SIGTERM), original(*args, **kwargs))[1])
    with loop.checkpoints, loop.writer, pytest.raises(signals.SignalReceived):
        loop.run()
    assert not calls
    assert loop.checkpoints.latest == (1 if moment == "restore_latest" else None)


def test_a_signal_during_the_last_evaluation_lets_the_run_finish(tmp_path):
    """Its scores would be lost for good: a resumed run has finished."""
    loop, calls = make_loop(tmp_path, images=2 * BATCH)
    evaluate = loop.evaluate

    def hooked(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        signals.check()
        return evaluate(*args)

    loop.evaluate = hooked
    with loop.checkpoints, loop.writer:
        assert loop.run() == FINISHED
    assert calls[-1] == ("evaluate", 2 * BATCH)
    assert loop.checkpoints.latest == 2


@pytest.mark.slow
def test_a_second_interrupt_ends_at_once(tmp_path):
    loop, _ = make_loop(tmp_path)

    def show_samples(*_):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    loop.show_samples = show_samples
    with loop.checkpoints, loop.writer, pytest.raises(KeyboardInterrupt) as raised:
        loop.run()
    assert raised.type is KeyboardInterrupt


def test_a_run_that_cannot_go_on_rolls_back_and_gives_up(tmp_path, caplog):
    watch = WatchConfig(max_skipped_in_a_row=2, max_rollbacks=2)
    loop, _ = make_loop(tmp_path, images=20 * BATCH, checkpoint=2 * BATCH, poison=5 * BATCH, watch=watch)
    with (
        loop.checkpoints,
        loop.writer,
        pytest.raises(TrainingGaveUp, match=r"after 2 rollbacks.*checkpoints/4"),
    ):
        loop.run()
    assert caplog.text.count("rolled back to step 4") == 2
    state = final(loop)
    assert state.step == 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_a_rollback_halves_the_learning_rate_and_changes_the_noise(tmp_path):
    watch = WatchConfig(max_skipped_in_a_row=1)
    loop, _ = make_loop(tmp_path, images=4 * BATCH, checkpoint=BATCH, poison=2 * BATCH, watch=watch)
    feed = loop.pipeline.batches
    loop.pipeline.batches = lambda position, size, rows: (
        setattr(loop.pipeline, "poison", None) if loop.pipeline.seen else None,
        feed(position, size, rows),
    )[1]
    with loop.checkpoints, loop.writer:
        assert loop.run() == FINISHED
    assert final(loop).rollbacks == 1
