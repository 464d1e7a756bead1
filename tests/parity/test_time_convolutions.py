"""Convolutions along time, and of space and time, against torch's in three dimensions, with all gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn.functional import conv3d

from jaxgan.layers.temporal import Conv2Plus1D, TimeConv

CLIPS = np.random.default_rng(0).normal(size=(2, 5, 6, 4, 8)).astype(np.float32)


def channels_first(clips):
    return torch.from_numpy(np.array(clips, np.float64)).permute(0, 4, 1, 2, 3).requires_grad_()


def kernel3d(kernel):
    """A kernel of ours as torch's `[o,i,t,h,w]`: of time `[t,i,o]`, of space `[h,w,i,o]`."""
    kernel = np.asarray(kernel, np.float64)
    kernel = kernel[:, None, None] if kernel.ndim == 3 else kernel[None]
    return torch.from_numpy(kernel.transpose(4, 3, 0, 1, 2).copy()).requires_grad_()


def ours(module, tree):
    def loss(tree, x):
        y = module.apply(tree, x)
        return jnp.sin(y).sum(), y

    (_, y), (grads, x_grad) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(tree, CLIPS)
    return y, x_grad, grads["params"]


def test_2_plus_1_d():
    module = Conv2Plus1D(5)
    tree = module.init(jax.random.key(0), jnp.asarray(CLIPS))
    y, x_grad, grads = ours(module, tree)
    x, space, time = channels_first(CLIPS), *(kernel3d(tree["params"][name]["kernel"]) for name in ("space", "time"))
    theirs = conv3d(torch.relu(conv3d(x, space, padding=(0, 1, 1))), time, padding=(1, 0, 0))
    torch.sin(theirs).sum().backward()
    np.testing.assert_allclose(y, theirs.detach().permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(x_grad, x.grad.permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-4)
    for name, kernel in (("space", space), ("time", time)):
        mine = kernel3d(grads[name]["kernel"]).detach()
        np.testing.assert_allclose(mine, kernel.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("padding", "before", "after"), [("SAME", 1, 1), ("CAUSAL", 2, 0), ("VALID", 0, 0)])
def test_time_conv(padding, before, after):
    module = TimeConv(6, padding=padding)
    tree = module.init(jax.random.key(0), jnp.asarray(CLIPS))
    y, x_grad, grads = ours(module, tree)
    x, kernel = channels_first(CLIPS), kernel3d(tree["params"]["kernel"])
    theirs = conv3d(torch.nn.functional.pad(x, (0, 0, 0, 0, before, after)), kernel)
    torch.sin(theirs).sum().backward()
    np.testing.assert_allclose(y, theirs.detach().permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(x_grad, x.grad.permute(0, 2, 3, 4, 1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(kernel3d(grads["kernel"]).detach(), kernel.grad, rtol=1e-3, atol=1e-3)
