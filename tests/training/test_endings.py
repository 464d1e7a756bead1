"""The end of a run that lacks memory."""

import jax
import jax.numpy as jnp
import pytest

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import TrainingGaveUp
from jaxgan.training.endings import gives_up_on_memory


def test_a_program_without_memory_ends_in_one_line(tmp_path):
    place = Workdir(str(tmp_path))
    with pytest.raises(TrainingGaveUp) as raised, gives_up_on_memory(place):
        jax.jit(lambda: jnp.arange(2**46, dtype=jnp.uint8).sum() + jnp.zeros((2**46,)))().block_until_ready()
    reported = str(raised.value)
    assert "\n" not in reported
    assert "too little memory: RESOURCE_EXHAUSTED" in reported
    assert "--config.batch_size" in reported
    assert "there is no complete checkpoint yet" in reported


def test_other_errors_of_a_program_pass_through(tmp_path):
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"), gives_up_on_memory(Workdir(str(tmp_path))):
        raise jax.errors.JaxRuntimeError("INTERNAL: a kernel failed")
