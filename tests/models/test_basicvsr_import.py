"""BasicVSR++ by its published names. Its outputs are compared with torch in tests/parity/test_basicvsr.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from basicvsr_weights import GROUPS, WIDTH, state_dict

from jaxgan.building.builder import build
from jaxgan.errors import UserError
from jaxgan.models.pretrained import published


def without(tensors, name):
    return {each: value for each, value in tensors.items() if each != name}


def test_the_weights_fit_the_network_that_its_section_says():
    imported = published.from_torch(state_dict())
    assert (imported.section["base_width"], imported.section["groups"]) == (WIDTH, GROUPS)
    network = build(imported.section, "network")
    clip = jax.ShapeDtypeStruct((1, 2, 32, 32, 3), jnp.float32)
    wanted = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), clip)["params"]
    assert jax.tree.map(np.shape, imported.params) == jax.tree.map(np.shape, wanted)


def test_names_of_either_suite_are_one_network():
    mmediting, basicsr = (published.from_torch(state_dict(suite)) for suite in ("mmediting", "basicsr"))
    assert mmediting.section == basicsr.section
    jax.tree.map(np.testing.assert_array_equal, mmediting.params, basicsr.params)


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        (without(state_dict(), "generator.conv_hr.bias"), r"lack conv_hr\.bias"),
        ({**state_dict(), "generator.more": np.zeros(3, np.float32)}, "have more, which the network does not"),
        (
            {**state_dict(), "generator.conv_last.weight": np.zeros((3, WIDTH, 1, 1), np.float32)},
            "expected",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tensors, match):
    with pytest.raises(UserError, match=match):
        published.from_torch(tensors)
