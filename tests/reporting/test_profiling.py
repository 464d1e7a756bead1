"""The trace of a run: after the warm-up, as long as requested, readable by Perfetto and TensorBoard."""

import gzip
import json

import jax
import jax.numpy as jnp
import pytest

from jaxgan.errors import UserError
from jaxgan.reporting.profiling import DISPATCHES, WARM_UP, Profile, ProfiledRunner, read_profile


class Doubling:
    """A runner whose state is one number."""

    mesh = init = place = cache = flops = None

    def __init__(self):
        self._double = jax.jit(lambda x: x * 2)

    def play(self, state, cache, batches, due_sets):
        state = self._double(state)
        return state, {"loss": state}


def play(runner, times, due_sets=((0,),)):
    state = jnp.float32(1)
    for _ in range(times):
        state, _ = runner.play(state, None, [], due_sets)
    return float(state)


def events(folder, name="perfetto_trace.json.gz"):
    (found,) = folder.glob(f"plugins/profile/*/{name}")
    with gzip.open(found) as file:
        return json.load(file)["traceEvents"]


def test_a_few_dispatches_are_traced_after_the_warm_up(tmp_path):
    with ProfiledRunner(Doubling(), Profile(str(tmp_path), 3)) as runner:
        assert play(runner, 1 + WARM_UP + 10) == 2.0 ** (1 + WARM_UP + 10)
    steps = [event for event in events(tmp_path) if event.get("name") == "train"]
    assert sorted(int(event["args"]["step_num"]) for event in steps) == [WARM_UP + 1, WARM_UP + 2, WARM_UP + 3]
    assert all(event["ph"] == "X" and event["dur"] > 0 for event in steps)
    (space,) = tmp_path.glob("plugins/profile/*/*.xplane.pb")  # TensorBoard's
    assert space.stat().st_size > 0


def test_compilation_delays_the_trace_and_a_run_that_is_too_short_is_reported(tmp_path, caplog):
    with ProfiledRunner(Doubling(), Profile(str(tmp_path / "cold"), 1)) as runner:
        for due in range(8):
            play(runner, 1, [(due,)])
    assert not (tmp_path / "cold").exists()
    assert "too short for --profile" in caplog.text
    with ProfiledRunner(Doubling(), Profile(str(tmp_path / "ends"), 100)) as runner:
        play(runner, WARM_UP + 4)
    assert len([event for event in events(tmp_path / "ends") if event.get("name") == "train"]) == 3


@pytest.mark.quick
def test_values_of_the_flag():
    assert read_profile(None, "runs/x") is None
    assert read_profile("false", "runs/x") is None
    assert read_profile("true", "runs/x") == Profile("runs/x/profile", DISPATCHES)
    assert read_profile("12", "runs/x") == Profile("runs/x/profile", 12)
    assert read_profile("traces/y", "gs://bucket/x") == Profile("traces/y", DISPATCHES)
    with pytest.raises(UserError, match=r"--profile=true: .*gs://bucket/x/profile; expected a local folder"):
        read_profile("true", "gs://bucket/x")
