"""`Phase.enter`: a network starts as a copy of another, exactly once, through resumes, stops and rollbacks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loop import final, make_loop, run, same
from toy import BATCH, GivenLatents, make_batch, make_task, optimizers

from jaxgan.config.run import WatchConfig
from jaxgan.errors import FINISHED, INTERRUPTED, UserError
from jaxgan.game import GENERATOR, Aux, Phase
from jaxgan.training.state import entered, init_state

START = 2 * BATCH + 1  # crossed by the third round
CROSSED = 3
STUDENT = "student"


def fade(state, batch, key):
    w = state.params[STUDENT]["w"]
    return jnp.square(w).sum(), Aux({"norm": jnp.linalg.norm(w)})


@dataclasses.dataclass(frozen=True)
class Taught(GivenLatents):
    """A student that starts as a copy of the generator and is then trained apart; `entries` records the clock."""

    start: int = START
    entries: list = dataclasses.field(default_factory=list)

    @property
    def players(self):
        return {**super().players, STUDENT: (STUDENT,)}

    def init(self, key, batch):
        params, variables = super().init(key, batch)
        return {**params, STUDENT: jax.tree.map(jnp.zeros_like, params[GENERATOR])}, {**variables, STUDENT: {}}

    def begin(self, state):
        self.entries.append(int(state.images_seen))
        return state.replace(params={**state.params, STUDENT: state.params[GENERATOR]})

    def phases(self):
        return (*super().phases(), Phase(STUDENT, STUDENT, fade, start=self.start, enter=self.begin))


def taught(**kwargs):
    return Taught(**vars(make_task()), **kwargs)


def norms(state):
    return [float(jnp.linalg.norm(state.params[name]["w"])) for name in (GENERATOR, STUDENT)]


def saved(loop, step):
    with loop.checkpoints:
        return loop.checkpoints.restore(step, loop.runner.place(jax.eval_shape(loop.init))).state


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The loop of a run of six rounds, four in a dispatch."""
    task = taught()
    status, loop, _ = run(tmp_path_factory.mktemp("unbroken"), task=task, rounds=4)
    assert status == FINISHED
    assert task.entries == [CROSSED * BATCH]  # which cuts a dispatch in two
    return loop


def test_a_network_begins_as_a_copy_and_is_saved_as_such(unbroken):
    at = saved(unbroken, CROSSED)
    same(at.params[STUDENT], at.params[GENERATOR])
    generator, student = norms(final(unbroken))
    assert student < 0.9 * generator
    assert norms(saved(unbroken, 0))[1] == 0


@pytest.mark.parametrize("cut", [2, 3, 5])
def test_a_resumed_run_equals_an_unbroken_one(cut, unbroken, tmp_path):
    task = taught()
    run(tmp_path, images=cut * BATCH, task=task, rounds=4)
    _, resumed, _ = run(tmp_path, task=task, rounds=4)
    assert task.entries == [CROSSED * BATCH]
    same(final(resumed), final(unbroken))


def test_a_run_that_is_stopped_as_it_enters_equals_an_unbroken_one(unbroken, tmp_path):
    task = taught()
    status, _, _ = run(tmp_path, task=task, rounds=4, after=CROSSED * BATCH)
    assert status == INTERRUPTED
    _, resumed, _ = run(tmp_path, task=task, rounds=4)
    assert task.entries == [CROSSED * BATCH]
    same(final(resumed), final(unbroken))


def test_after_a_rollback_to_before_it_the_phase_is_entered_again(tmp_path):
    task, watch = taught(), WatchConfig(max_skipped_in_a_row=1)
    loop, _ = make_loop(tmp_path, checkpoint=BATCH, poison=2 * BATCH, watch=watch, task=task)
    feed = loop.pipeline.batches
    loop.pipeline.batches = lambda position, size, rows: (
        setattr(loop.pipeline, "poison", None) if loop.pipeline.seen else None,
        feed(position, size, rows),
    )[1]
    with loop.checkpoints, loop.writer:
        assert loop.run() == FINISHED
    assert loop.pipeline.seen == [0, 2 * BATCH]
    assert task.entries == [CROSSED * BATCH] * 2
    at = saved(loop, CROSSED)
    assert at.rollbacks == 1
    same(at.params[STUDENT], at.params[GENERATOR])


def test_a_phase_entered_at_the_start_is_in_the_first_checkpoint(tmp_path):
    task = taught(start=0)
    _, loop, _ = run(tmp_path, images=2 * BATCH, task=task)
    _, loop, _ = run(tmp_path, images=3 * BATCH, task=task)
    assert task.entries == [0]
    at = saved(loop, 0)
    same(at.params[STUDENT], at.params[GENERATOR])


def test_entered_arrays_are_copies_and_the_others_are_kept():
    task = taught()
    state = init_state(task, optimizers(task), jax.random.key(7), make_batch())
    new = entered(state, task.phases(), 0, START)
    assert new.params[STUDENT]["w"].unsafe_buffer_pointer() != state.params[GENERATOR]["w"].unsafe_buffer_pointer()
    assert new.params[GENERATOR]["w"] is state.params[GENERATOR]["w"]
    same(new.params[STUDENT], state.params[GENERATOR])
    for last, now in ((START, START + 1), (0, START - 1)):
        assert entered(state, task.phases(), last, now) is state


def test_another_shape_is_an_error():
    def begin(state):
        return state.replace(params={**state.params, STUDENT: {"w": np.zeros(2), "b": state.params[STUDENT]["b"]}})

    task = taught()
    state = init_state(task, optimizers(task), jax.random.key(7), make_batch())
    phases = [dataclasses.replace(phase, enter=begin) for phase in task.phases() if phase.name == STUDENT]
    message = r"phase student: enter returns other arrays: params/student/w is \(2,\), expected \(3, 4\)"
    with pytest.raises(UserError, match=message):
        entered(state, phases, 0, START)
