"""StyleGAN2 train steps of the package stylegan2-torch 1.3.0 in eager torch, by the protocol of `torch_steps`.

    python benchmarks/peers/torch_stylegan2.py --case stylegan2

Its compiled extensions need CUDA. In their place stand plain torch operations: the usual filter on one-channel images,
which is what such packages do on a CPU, or ("tuned") a depthwise convolution.
"""

import contextlib
import functools
import sys
import types

import torch
import torch.nn.functional as F
from torch import nn

BATCH, PIXELS, WIDTH, STYLE, MAPPING_LAYERS = 16, 32, 64, 64, 4
GAMMA = 10.0  # of R1
CASES = {  # tuned, with R1
    "stylegan2": (False, False),
    "stylegan2_r1": (False, True),
    "stylegan2_tuned": (True, False),
    "stylegan2_tuned_r1": (True, True),
}


def filtered(image, taps, tuned):
    """`[b,c,h,w]` correlated with the flipped taps, without padding."""
    batch, channels, height, width = image.shape
    taps = taps.flip(0, 1)[None, None]
    if tuned:
        return F.conv2d(image, taps.expand(channels, 1, -1, -1), groups=channels)
    image = F.conv2d(image.reshape(-1, 1, height, width), taps)
    return image.reshape(batch, channels, *image.shape[2:])


def resampler(tuned):
    """The package's `upfirdn2d`: zeros between pixels, padding, filter, every n-th pixel."""

    def upfirdn2d(image, taps, up=1, down=1, pad=(0, 0)):
        batch, channels, height, width = image.shape
        if up > 1:
            image = F.pad(image[:, :, :, None, :, None], (0, up - 1, 0, 0, 0, up - 1))
            image = image.reshape(batch, channels, height * up, width * up)
        image = F.pad(image, (pad[0], pad[1], pad[0], pad[1]))
        return filtered(image, taps, tuned)[:, :, ::down, ::down]

    return upfirdn2d


def fused_leaky_relu(x, bias=None, negative_slope=0.2, scale=2**0.5):
    """The package's bias and activation in one."""
    if bias is not None:
        x = x + bias.view(1, -1, *(1,) * (x.ndim - 2))
    return F.leaky_relu(x, negative_slope) * scale


class FusedLeakyReLU(nn.Module):
    """The same as a layer."""

    def __init__(self, channels, bias=True):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x):
        """The activations."""
        return fused_leaky_relu(x, self.bias)


def load_package(tuned):
    """The package's two networks, on stand-ins for what it compiles."""
    resampling = {"upfirdn2d": resampler(tuned)}
    activation = {"fused_leaky_relu": fused_leaky_relu, "FusedLeakyReLU": FusedLeakyReLU}
    convolution = {
        "conv2d": F.conv2d,
        "conv_transpose2d": F.conv_transpose2d,
        "no_weight_grad": contextlib.nullcontext,
    }
    stand_ins = {
        "stylegan2_torch.op.upfirdn2d": resampling,
        "stylegan2_torch.op.fused_act": activation,
        "torch_conv_gradfix": convolution,
    }
    for name, members in stand_ins.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    from stylegan2_torch import Discriminator, Generator

    return Generator, Discriminator


def r1(discriminator, real, gamma=GAMMA):
    """The logits of the reals, and gamma/2 times the squared gradient of each by its image, on average."""
    real = real.detach().requires_grad_(True)
    logits = discriminator(real)
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return logits, gamma / 2 * gradient.square().sum((1, 2, 3)).mean()


def discriminator_turn(discriminator, optimizer, real, fake, penalized=False):
    """The discriminator's update by the non-saturating game, on wish with R1; returns its loss."""
    discriminator.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    real_logits, penalty = r1(discriminator, real) if penalized else (discriminator(real), 0.0)
    loss = F.softplus(-real_logits).mean() + F.softplus(discriminator(fake.detach())).mean() + penalty
    loss.backward()
    optimizer.step()
    return loss.detach()


def generator_turn(discriminator, optimizer, fake):
    """The generator's update against the discriminator as it stands; returns its loss."""
    discriminator.requires_grad_(False)  # no gradients for weights that do not move
    optimizer.zero_grad(set_to_none=True)
    loss = F.softplus(-discriminator(fake)).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def make_step(tuned, penalized):
    """One discriminator and one generator update on the same fakes; returns both losses as floats."""
    make_generator, make_discriminator = load_package(tuned)
    widths = dict.fromkeys((4, 8, 16, 32), WIDTH)
    generator = make_generator(PIXELS, STYLE, MAPPING_LAYERS, 0.01, widths)
    discriminator = make_discriminator(PIXELS, widths)
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)
    image = torch.rand(BATCH, 1, PIXELS, PIXELS) * 2 - 1

    def step():
        fake = generator([torch.randn(BATCH, STYLE)])
        loss = discriminator_turn(discriminator, discriminator_optimizer, image, fake, penalized)
        generator_loss = generator_turn(discriminator, generator_optimizer, fake)
        return float(loss), float(generator_loss)

    return step


if __name__ == "__main__":
    from serving import serve  # beside this script; the tests import what is above without it

    serve({case: functools.partial(make_step, *arguments) for case, arguments in CASES.items()})
