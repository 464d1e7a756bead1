"""SRGAN's adversarial train step, 24 to 96 pixels, in eager torch. Run by `benchmarks.steps` in its own environment.

    python benchmarks/peers/torch_srgan.py --case srgan

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """Two convolutions with batch norm and their input."""

    def __init__(self, width):
        super().__init__()
        conv = lambda: nn.Conv2d(width, width, 3, padding=1, bias=False)  # noqa: E731
        self.inner = nn.Sequential(conv(), nn.BatchNorm2d(width), nn.PReLU(), conv(), nn.BatchNorm2d(width))

    def forward(self, x):
        """`[b,c,h,w]` to the same shape."""
        return x + self.inner(x)


class Generator(nn.Module):
    """Ledig et al. 2017, figure 4: 16 residual blocks of 64 channels, twice twofold; images between -1 and 1."""

    def __init__(self, width=64, blocks=16, doublings=2):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        last = (nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.body = nn.Sequential(*(Residual(width) for _ in range(blocks)), *last)
        up = lambda: (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())  # noqa: E731
        ups = [layer for _ in range(doublings) for layer in up()]
        self.tail = nn.Sequential(*ups, nn.Conv2d(width, 3, 9, padding=4), nn.Tanh())

    def forward(self, x):
        """`[b,3,h,w]` to `[b,3,sh,sw]`."""
        x = self.head(x)
        return self.tail(x + self.body(x))


def make_discriminator(widths=(64, 128, 256, 512)):
    """Two convolutions of each width, the second with stride 2, the mean, and two dense layers."""
    layers, inputs = [], 3
    for index, width in enumerate(width for width in widths for _ in range(2)):
        layers += [nn.Conv2d(inputs, width, 3, stride=1 + index % 2, padding=1, bias=index == 0)]
        layers += [nn.BatchNorm2d(width)] if index else []
        layers += [nn.LeakyReLU(0.2)]
        inputs = width
    dense = (nn.Linear(inputs, 2 * inputs), nn.LeakyReLU(0.2), nn.Linear(2 * inputs, 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dense)


def discriminator_turn(discriminator, optimizer, real, fake):
    """The discriminator's update by the non-saturating game; returns its loss."""
    discriminator.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def generator_turn(discriminator, optimizer, real, fake, weight=1e-3):
    """The generator's update by squared error and, weighted, the discriminator as it stands; returns its loss."""
    discriminator.requires_grad_(False)  # no gradients for weights that do not move
    optimizer.zero_grad(set_to_none=True)
    loss = F.mse_loss(fake, real) + weight * F.softplus(-discriminator(fake)).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def make_step(batch=8):
    """One discriminator and one generator update on the same restored images; returns both losses as floats."""
    generator, discriminator = Generator(), make_discriminator()
    condition, real = torch.rand(batch, 3, 24, 24) * 2 - 1, torch.rand(batch, 3, 96, 96) * 2 - 1
    generator, discriminator, condition, real = (
        x.to(memory_format=torch.channels_last) for x in (generator, discriminator, condition, real)
    )
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.999)) for network in (generator, discriminator)
    ]

    def step():
        fake = generator(condition)
        d_loss = discriminator_turn(discriminator, optimizers[1], real, fake)
        g_loss = generator_turn(discriminator, optimizers[0], real, fake)
        return float(d_loss), float(g_loss)

    return step


if __name__ == "__main__":
    from serving import serve  # beside this script; the tests import what is above without it

    serve({"srgan": make_step})
