"""Alternating GAN train steps in eager torch. Run by `benchmarks.steps` in an environment of its own.

    python benchmarks/peers/torch_steps.py --case mlp

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn


def discriminator_turn(discriminator, optimizer, real, fake):
    """The discriminator's update by the non-saturating game; returns its loss."""
    discriminator.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
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


def non_saturating_step(generator, discriminator, draw_latent, real):
    """One discriminator and one generator update on the same fakes; returns both losses as floats."""
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)

    def step():
        fake = generator(draw_latent())
        discriminator_loss = discriminator_turn(discriminator, discriminator_optimizer, real, fake)
        generator_loss = generator_turn(discriminator, generator_optimizer, fake)
        return float(discriminator_loss), float(generator_loss)

    return step


def mlp(batch=64):
    """The classic example's nets on 784 pixels."""

    def layers(*sizes):
        pairs = itertools.pairwise(sizes)
        return [layer for a, b in pairs for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2))][:-1]

    generator = nn.Sequential(*layers(100, 256, 512, 1024, 784), nn.Tanh())
    discriminator = nn.Sequential(*layers(784, 1024, 512, 256, 1))
    real = torch.rand(batch, 784) * 2 - 1
    return non_saturating_step(generator, discriminator, lambda: torch.randn(batch, 100), real)


def make_dcgan(latent, channels, widths):
    """DCGAN's generator from latents `[b,z,1,1]` and its discriminator; widths are those from 4 pixels up.

    Where no norm follows, a convolution has a bias.
    """
    up = lambda a, b, s, p, bias=False: nn.ConvTranspose2d(a, b, 4, s, p, bias=bias)  # noqa: E731
    down = lambda a, b, s, p, bias=False: nn.Conv2d(a, b, 4, s, p, bias=bias)  # noqa: E731
    layers = [up(latent, widths[0], 1, 0)]
    for wider, width in itertools.pairwise(widths):
        layers += [nn.BatchNorm2d(wider), nn.ReLU(True), up(wider, width, 2, 1)]
    layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(True), up(widths[-1], channels, 2, 1, bias=True)]
    generator = nn.Sequential(*layers, nn.Tanh())
    layers = [down(channels, widths[-1], 2, 1, bias=True), nn.LeakyReLU(0.2, True)]
    for width, wider in itertools.pairwise(reversed(widths)):
        layers += [down(width, wider, 2, 1), nn.BatchNorm2d(wider), nn.LeakyReLU(0.2, True)]
    return generator, nn.Sequential(*layers, down(widths[0], 1, 1, 0, bias=True), nn.Flatten())


def dcgan(batch=64, channels=3, latent=128):
    """DCGAN at 32 pixels, widths 64 to 256, channels last."""
    generator, discriminator = make_dcgan(latent, channels, (256, 128, 64))
    real = torch.rand(batch, channels, 32, 32) * 2 - 1
    generator, discriminator, real = (x.to(memory_format=torch.channels_last) for x in (generator, discriminator, real))
    return non_saturating_step(generator, discriminator, lambda: torch.randn(batch, latent, 1, 1), real)


CASES = {"mlp": mlp, "dcgan": dcgan}


if __name__ == "__main__":
    from serving import serve  # beside this script; the tests import what is above without it

    serve(CASES)
