"""A small R3GAN train step in eager torch, R1 and R2 every time. Run by `benchmarks.steps` in its own environment.

    python benchmarks/peers/torch_r3gan.py --case r3gan

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import math

import torch
import torch.nn.functional as F
from serving import serve
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


class Generator(nn.Module):
    """Latents to images of 32 pixels."""

    def __init__(self, width, latent, blocks, channels=3, stages=4):
        super().__init__()
        self.stem = start(nn.Linear(latent, width, bias=False))
        self.basis = nn.Parameter(torch.randn(width, 4, 4))
        layers = []
        for index in range(stages):
            layers += [Resample(width, up=True)] if index else []
            layers += [Block(width, blocks * stages) for _ in range(blocks)]
        self.stages = nn.Sequential(*layers)
        self.image = start(nn.Conv2d(width, channels, 1, bias=False))

    def forward(self, latent):
        """The images."""
        x = (self.stem(latent)[:, :, None, None] * self.basis).to(memory_format=torch.channels_last)
        return self.image(self.stages(x))


class Discriminator(nn.Module):
    """Images of 32 pixels to one logit each."""

    def __init__(self, width, blocks, channels=3, stages=4):
        super().__init__()
        self.image = start(nn.Conv2d(channels, width, 1, bias=False))
        layers = []
        for index in range(stages):
            layers += [Resample(width, up=False)] if index else []
            layers += [Block(width, blocks * stages) for _ in range(blocks)]
        self.stages = nn.Sequential(*layers)
        self.basis = start(nn.Conv2d(width, width, 4, groups=width, bias=False))
        self.logit = start(nn.Linear(width, 1, bias=False))

    def forward(self, image):
        """The logits."""
        return self.logit(self.basis(self.stages(self.image(image))).flatten(1))[:, 0]


def r3gan(batch=32, width=64, latent=64, blocks=2):
    """One discriminator and one generator update on the same fakes; the step returns both losses as floats."""
    generator, discriminator = Generator(width, latent, blocks), Discriminator(width, blocks)
    real = torch.rand(batch, 3, 32, 32) * 2 - 1
    generator, discriminator, real = (x.to(memory_format=torch.channels_last) for x in (generator, discriminator, real))
    adam = {"lr": 2e-4, "betas": (0.0, 0.99)}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)

    def judged_with_penalty(image):
        image = image.detach().requires_grad_(True)
        logits = discriminator(image)
        (slope,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
        return logits, GAMMA / 2 * slope.square().sum((1, 2, 3)).mean()

    def step():
        fake = generator(torch.randn(batch, latent))
        discriminator.requires_grad_(True)
        discriminator_optimizer.zero_grad(set_to_none=True)
        (real_logits, r1), (fake_logits, r2) = judged_with_penalty(real), judged_with_penalty(fake)
        discriminator_loss = F.softplus(fake_logits - real_logits).mean() + r1 + r2
        discriminator_loss.backward()
        discriminator_optimizer.step()
        discriminator.requires_grad_(False)  # no gradients for weights that do not move
        generator_optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            real_logits = discriminator(real)
        generator_loss = F.softplus(real_logits - discriminator(fake)).mean()
        generator_loss.backward()
        generator_optimizer.step()
        return float(discriminator_loss.detach()), float(generator_loss.detach())

    return step


CASES = {"r3gan": r3gan}


if __name__ == "__main__":
    serve(CASES)
