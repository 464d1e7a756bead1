"""A small R3GAN train step in eager torch, R1 and R2 every time. Run by `benchmarks.steps` in its own environment.

    python benchmarks/peers/torch_r3gan.py --case r3gan

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

GAMMA = 1.0  # of both penalties
FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def start(layer, gain=1.0):
    """The layer with weights of standard deviation gain / sqrt(fan in)."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    return layer


class Block(nn.Module):
    """x plus 1x1, bias, LeakyReLU, grouped 3x3, bias, LeakyReLU, 1x1 of it."""

    def __init__(self, width, depth, expansion=2, group_width=16):
        super().__init__()
        hidden, gain = width * expansion, math.sqrt(2 / 1.04) * depth**-0.25
        groups = hidden // group_width
        self.widen = start(nn.Conv2d(width, hidden, 1), gain)
        self.mix = start(nn.Conv2d(hidden, hidden, 3, padding=1, groups=groups), gain)
        self.narrow = start(nn.Conv2d(hidden, width, 1, bias=False), 0.0)
        nn.init.zeros_(self.widen.bias)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x):
        """The block."""
        y = F.leaky_relu(self.mix(F.leaky_relu(self.widen(x), 0.2)), 0.2)
        return x + self.narrow(y)


class Resample(nn.Module):
    """Doubles or halves with the filter [1, 3, 3, 1], by a depthwise convolution."""

    def __init__(self, width, up):
        super().__init__()
        self.width, self.up = width, up
        kernel = FILTER[:, None] * FILTER * (4 if up else 1)
        self.register_buffer("kernel", kernel.expand(width, 1, 4, 4).contiguous())

    def forward(self, x):
        """The resampled image."""
        resample = F.conv_transpose2d if self.up else F.conv2d
        return resample(x, self.kernel, stride=2, padding=1, groups=self.width)


def fitted(width, wanted):
    """A 1x1 convolution to another width, where it is another."""
    return [] if width == wanted else [start(nn.Conv2d(width, wanted, 1, bias=False))]


class Generator(nn.Module):
    """Latents to images; widths are those of the stages from 4 pixels up."""

    def __init__(self, widths, latent, blocks, channels=3, group_width=16):
        super().__init__()
        self.stem = start(nn.Linear(latent, widths[0], bias=False))
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        layers, previous = [], None
        for width in widths:
            layers += [] if previous is None else [*fitted(previous, width), Resample(width, up=True)]
            layers += [Block(width, blocks * len(widths), group_width=group_width) for _ in range(blocks)]
            previous = width
        self.stages = nn.Sequential(*layers)
        self.image = start(nn.Conv2d(previous, channels, 1, bias=False))

    def forward(self, latent):
        """The images."""
        x = (self.stem(latent)[:, :, None, None] * self.basis).to(memory_format=torch.channels_last)
        return self.image(self.stages(x))


class Discriminator(nn.Module):
    """Images to one logit each; widths are those of the stages from 4 pixels up."""

    def __init__(self, widths, blocks, channels=3, group_width=16):
        super().__init__()
        self.image = start(nn.Conv2d(channels, widths[-1], 1, bias=False))
        layers, previous = [], None
        for width in reversed(widths):
            layers += [] if previous is None else [Resample(previous, up=False), *fitted(previous, width)]
            layers += [Block(width, blocks * len(widths), group_width=group_width) for _ in range(blocks)]
            previous = width
        self.stages = nn.Sequential(*layers)
        self.basis = start(nn.Conv2d(previous, previous, 4, groups=previous, bias=False))
        self.logit = start(nn.Linear(previous, 1, bias=False))

    def forward(self, image):
        """The logits."""
        return self.logit(self.basis(self.stages(self.image(image))).flatten(1))[:, 0]


def discriminator_turn(discriminator, optimizer, real, fake, gamma=GAMMA):
    """The discriminator's update by the relativistic game with R1 and R2; returns its loss."""

    def judged_with_penalty(image):
        image = image.detach().requires_grad_(True)
        logits = discriminator(image)
        (slope,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
        return logits, gamma / 2 * slope.square().sum((1, 2, 3)).mean()

    discriminator.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    (real_logits, r1), (fake_logits, r2) = judged_with_penalty(real), judged_with_penalty(fake)
    loss = F.softplus(fake_logits - real_logits).mean() + r1 + r2
    loss.backward()
    optimizer.step()
    return loss.detach()


def generator_turn(discriminator, optimizer, real, fake):
    """The generator's update against the discriminator as it stands; returns its loss."""
    discriminator.requires_grad_(False)  # no gradients for weights that do not move
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        real_logits = discriminator(real)
    loss = F.softplus(real_logits - discriminator(fake)).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def r3gan(batch=32, width=64, latent=64, blocks=2):
    """One discriminator and one generator update on the same fakes; the step returns both losses as floats."""
    widths = (width,) * 4
    generator, discriminator = Generator(widths, latent, blocks), Discriminator(widths, blocks)
    real = torch.rand(batch, 3, 32, 32) * 2 - 1
    generator, discriminator, real = (x.to(memory_format=torch.channels_last) for x in (generator, discriminator, real))
    adam = {"lr": 2e-4, "betas": (0.0, 0.99)}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)

    def step():
        fake = generator(torch.randn(batch, latent))
        discriminator_loss = discriminator_turn(discriminator, discriminator_optimizer, real, fake)
        generator_loss = generator_turn(discriminator, generator_optimizer, real, fake)
        return float(discriminator_loss), float(generator_loss)

    return step


CASES = {"r3gan": r3gan}


if __name__ == "__main__":
    from serving import serve  # beside this script; the tests import what is above without it

    serve(CASES)
