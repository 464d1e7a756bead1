"""The recurrent motion codes against torch's GRU: same weights, same noise, same codes."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jaxgan.models.motion_codes import Recurrent


def test_recurrent_codes_equal_those_of_a_gru():
    network, noise = Recurrent(4), jax.random.normal(jax.random.key(0), (2, 7, 4))
    time = jnp.broadcast_to(jnp.arange(6.0), (2, 6))
    tree = network.init(jax.random.key(1), noise, time)
    found, noise = network.apply(tree, noise, time), np.array(noise)
    params = jax.tree.map(np.array, tree["params"])
    cell = torch.nn.GRUCell(4, 4)

    def ordered(array):  # torch has reset, update, new; its update keeps as ours does
        update, reset, new = np.split(array.T, 3)
        return torch.tensor(np.concatenate([reset, update, new]))

    with torch.no_grad():
        cell.weight_ih.copy_(ordered(params["fed"]["kernel"]))
        cell.weight_hh.copy_(ordered(params["kernel"]))
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
        state, expected = torch.tensor(noise[:, 0]), []
        for step in range(6):
            state = cell(torch.tensor(noise[:, 1 + step]), state)
            expected.append(state.numpy())
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)
