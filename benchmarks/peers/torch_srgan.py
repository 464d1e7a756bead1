"""SRGAN's adversarial train step, 24 to 96 pixels, in eager torch. Run by `benchmarks.steps` in its own environment.

    python benchmarks/peers/torch_srgan.py --case srgan

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import torch
import torch.nn.functional as F
from serving import serve
from torch import nn


class Residual(nn.Module):
    """Two convolutions with batch norm and their input."""

    def __init__(self, width):
        super().__init__()
        conv = lambda: nn.Conv2d(width, width, 3, padding=1)  # noqa: E731
        self.inner = nn.Sequential(conv(), nn.BatchNorm2d(width), nn.PReLU(), conv(), nn.BatchNorm2d(width))

    def forward(self, x):
        """`[b,c,h,w]` to the same shape."""
        return x + self.inner(x)


class Generator(nn.Module):
    """Ledig et al. 2017, figure 4: 16 residual blocks of 64 channels, twice twofold."""

    def __init__(self, width=64, blocks=16):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        last = (nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.body = nn.Sequential(*(Residual(width) for _ in range(blocks)), *last)
        up = lambda: (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())  # noqa: E731
        self.tail = nn.Sequential(*up(), *up(), nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, x):
        """`[b,3,h,w]` to `[b,3,4h,4w]`."""
        x = self.head(x)
        return self.tail(x + self.body(x))


def make_discriminator():
    """Eight convolutions from 64 to 512 channels, every second one with stride 2, the mean, and two dense layers."""
    layers, inputs = [], 3
    for index, width in enumerate((64, 64, 128, 128, 256, 256, 512, 512)):
        layers += [nn.Conv2d(inputs, width, 3, stride=1 + index % 2, padding=1)]
        layers += [nn.BatchNorm2d(width)] if index else []
        layers += [nn.LeakyReLU(0.2)]
        inputs = width
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1))
    return nn.Sequential(*layers, *head)


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
        discriminator.requires_grad_(True)
        optimizers[1].zero_grad(set_to_none=True)
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        d_loss.backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)  # no gradients for weights that do not move
        optimizers[0].zero_grad(set_to_none=True)
        g_loss = F.mse_loss(fake, real) + 1e-3 * F.softplus(-discriminator(fake)).mean()
        g_loss.backward()
        optimizers[0].step()
        return float(d_loss.detach()), float(g_loss.detach())

    return step


if __name__ == "__main__":
    serve({"srgan": make_step})
