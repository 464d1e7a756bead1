"""Alternating GAN train steps in eager torch. Run by `benchmarks.steps` in an environment of its own.

    python benchmarks/peers/torch_steps.py --case mlp

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import itertools

import torch
import torch.nn.functional as F
from serving import serve
from torch import nn


def non_saturating_step(generator, discriminator, draw_latent, real):
    """One discriminator and one generator update on the same fakes; returns both losses as floats."""
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)

    def step():
        fake = generator(draw_latent())
        discriminator.requires_grad_(True)
        discriminator_optimizer.zero_grad(set_to_none=True)
        discriminator_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        discriminator_loss.backward()
        discriminator_optimizer.step()
        discriminator.requires_grad_(False)  # no gradients for weights that do not move
        generator_optimizer.zero_grad(set_to_none=True)
        generator_loss = F.softplus(-discriminator(fake)).mean()
        generator_loss.backward()
        generator_optimizer.step()
        return float(discriminator_loss.detach()), float(generator_loss.detach())

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


def dcgan(batch=64, channels=3, latent=128):
    """DCGAN at 32 pixels, widths 64 to 256, channels last."""
    up = lambda a, b, s, p: nn.ConvTranspose2d(a, b, 4, s, p, bias=False)  # noqa: E731
    down = lambda a, b, s, p: nn.Conv2d(a, b, 4, s, p, bias=False)  # noqa: E731
    generator = nn.Sequential(
        *(up(latent, 256, 1, 0), nn.BatchNorm2d(256), nn.ReLU(True)),
        *(up(256, 128, 2, 1), nn.BatchNorm2d(128), nn.ReLU(True)),
        *(up(128, 64, 2, 1), nn.BatchNorm2d(64), nn.ReLU(True)),
        *(up(64, channels, 2, 1), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(down(channels, 64, 2, 1), nn.LeakyReLU(0.2, True)),
        *(down(64, 128, 2, 1), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, True)),
        *(down(128, 256, 2, 1), nn.BatchNorm2d(256), nn.LeakyReLU(0.2, True)),
        *(down(256, 1, 1, 0), nn.Flatten()),
    )
    real = torch.rand(batch, channels, 32, 32) * 2 - 1
    generator, discriminator, real = (x.to(memory_format=torch.channels_last) for x in (generator, discriminator, real))
    return non_saturating_step(generator, discriminator, lambda: torch.randn(batch, latent, 1, 1), real)


CASES = {"mlp": mlp, "dcgan": dcgan}


if __name__ == "__main__":
    serve(CASES)
