"""SNGAN's residual networks (Miyato et al. 2018, table 4) in torch, as published: convolutions of enlarged images.

With classes they are those of Miyato & Koyama 2018. The spectral norm is torch's own, of the kind that keeps u.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm


class ConditionalNorm(nn.Module):
    """Batch norm whose gain and bias are a class's."""

    def __init__(self, width, classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.scale, self.bias = nn.Embedding(classes, width), nn.Embedding(classes, width)

    def forward(self, x, label):
        gain, bias = 1 + self.scale(label), self.bias(label)
        return gain[:, :, None, None] * self.norm(x) + bias[:, :, None, None]


class UpBlock(nn.Module):
    """Norm, ReLU, nearest doubling, 3x3, norm, ReLU, 3x3, beside a 1x1 convolution of the doubled x."""

    def __init__(self, inputs, width, classes):
        super().__init__()
        norm = (lambda width: ConditionalNorm(width, classes)) if classes else nn.BatchNorm2d
        self.norms = nn.ModuleList([norm(inputs), norm(width)])
        self.convs = nn.ModuleList([nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)])
        self.shortcut = nn.Conv2d(inputs, width, 1)

    def forward(self, x, *label):
        doubled = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")  # noqa: E731
        y = self.convs[0](doubled(F.relu(self.norms[0](x, *label))))
        return self.convs[1](F.relu(self.norms[1](y, *label))) + self.shortcut(doubled(x))


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, means, beside a 1x1 convolution; the first block without ReLU at its beginning."""

    def __init__(self, inputs, width, halves=True, first=False):
        super().__init__()
        hidden, conv = width if first else inputs, lambda *a, **k: spectral_norm(nn.Conv2d(*a, **k))
        self.convs = nn.ModuleList([conv(inputs, hidden, 3, padding=1), conv(hidden, width, 3, padding=1)])
        self.shortcut = conv(inputs, width, 1) if halves else None
        self.first = first

    def forward(self, x):
        y = self.convs[0](x if self.first else F.relu(x))
        y = self.convs[1](F.relu(y))
        if self.shortcut is None:
            return x + y
        return F.avg_pool2d(y, 2) + F.avg_pool2d(self.shortcut(x), 2)


class Generator(nn.Module):
    """Latents, and labels, to images, from 4 pixels on."""

    def __init__(self, latent, width, doublings, channels, classes=0):
        super().__init__()
        self.stem = nn.Linear(latent, 16 * width)
        self.blocks = nn.ModuleList([UpBlock(width, width, classes) for _ in range(doublings)])
        self.norm = nn.BatchNorm2d(width)
        self.image = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, latent, *label):
        x = self.stem(latent).unflatten(1, (-1, 4, 4))
        for block in self.blocks:
            x = block(x, *label)
        return torch.tanh(self.image(F.relu(self.norm(x))))


class Discriminator(nn.Module):
    """Images to one logit each: blocks that halve, two that do not, the sum over pixels; labels by projection."""

    def __init__(self, width, halvings, channels, classes=0):
        super().__init__()
        first = [DownBlock(channels, width, first=True), *(DownBlock(width, width) for _ in range(halvings - 1))]
        self.blocks = nn.ModuleList([*first, *(DownBlock(width, width, halves=False) for _ in range(2))])
        self.logit = spectral_norm(nn.Linear(width, 1))
        self.label = spectral_norm(nn.Embedding(classes, width), dim=1) if classes else None

    def forward(self, image, *label):
        for block in self.blocks:
            image = block(image)
        features = F.relu(image).sum((2, 3))
        logits = self.logit(features)[:, 0]
        return logits if self.label is None else logits + (self.label(*label) * features).sum(1)


def discriminator_turn(discriminator, optimizer, real, fake, *label):
    """The discriminator's update by the hinge loss (eq. 16); returns its loss."""
    optimizer.zero_grad()
    real_loss, fake_loss = F.relu(1 - discriminator(real, *label)), F.relu(1 + discriminator(fake.detach(), *label))
    loss = real_loss.mean() + fake_loss.mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def generator_turn(discriminator, optimizer, fake, *label):
    """The generator's update (eq. 17); returns its loss."""
    optimizer.zero_grad()
    loss = -discriminator(fake, *label).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()
