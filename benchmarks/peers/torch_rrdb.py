"""ESRGAN's generator, fourfold, on a picture of 375 x 250 pixels in two tiles, in eager torch.

Run by `benchmarks.steps` in its own environment:

    python benchmarks/peers/torch_rrdb.py --case rrdb

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n forward passes in milliseconds.
"""

import torch
import torch.nn.functional as F
from serving import serve
from torch import nn


class Dense(nn.Module):
    """Five convolutions, each of all that is before it (Wang et al. 2018, figure 4)."""

    def __init__(self, width=64, growth=32):
        super().__init__()
        widths = (growth, growth, growth, growth, width)
        self.convs = nn.ModuleList(nn.Conv2d(width + i * growth, out, 3, padding=1) for i, out in enumerate(widths))

    def forward(self, x):
        """`[b,c,h,w]` to the same shape."""
        found = [x]
        for conv in self.convs[:-1]:
            found.append(F.leaky_relu(conv(torch.cat(found, 1)), 0.2))
        return x + 0.2 * self.convs[-1](torch.cat(found, 1))


class Generator(nn.Module):
    """23 blocks of three dense blocks, then nearest neighbours and a convolution, twice."""

    def __init__(self, width=64, blocks=23):
        super().__init__()
        conv = lambda inputs=width, outputs=width: nn.Conv2d(inputs, outputs, 3, padding=1)  # noqa: E731
        self.first, self.trunk = conv(3), conv()
        self.blocks = nn.ModuleList(nn.Sequential(Dense(), Dense(), Dense()) for _ in range(blocks))
        self.ups, self.last = nn.ModuleList([conv(), conv()]), nn.ModuleList([conv(), conv(outputs=3)])

    def forward(self, x):
        """`[b,3,h,w]` to `[b,3,4h,4w]`."""
        first = x = self.first(x)
        for block in self.blocks:
            x = x + 0.2 * block(x)
        x = first + self.trunk(x)
        for up in self.ups:
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=2)), 0.2)
        return self.last[1](F.leaky_relu(self.last[0](x), 0.2))


TILE, LEFTS, SEAM = 220, (0, 155), 187  # columns of a tile, where each begins, where the one takes over from the other


def make_step():
    """A forward pass of each tile; the columns beyond the seam are left out."""
    network = Generator().to(memory_format=torch.channels_last)
    picture = (torch.rand(1, 3, 250, 375) * 2 - 1).to(memory_format=torch.channels_last)

    def step():
        with torch.inference_mode():
            first, second = (network(picture[..., left : left + TILE]) for left in LEFTS)
            return torch.cat([first[..., : 4 * SEAM], second[..., 4 * (SEAM - LEFTS[1]) :]], -1).numpy()

    return step


if __name__ == "__main__":
    serve({"rrdb": make_step})
