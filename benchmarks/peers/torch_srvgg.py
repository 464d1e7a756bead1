"""SRVGG, fourfold, on a frame of 320 x 180 pixels, in eager torch.

Run by `benchmarks.films` in its own environment:

    python benchmarks/peers/torch_srvgg.py --case channels_last

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n forward passes in milliseconds.
"""

from functools import partial

import torch
import torch.nn.functional as F
from serving import serve
from torch import nn


class Generator(nn.Module):
    """Convolutions and PReLU at the frame's size, then pixels out of channels, on top of the frame's own."""

    def __init__(self, width=64, convs=16, scale=4):
        super().__init__()
        layers = [nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(convs):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        self.scale = scale

    def forward(self, x):
        """`[b,3,h,w]` to `[b,3,4h,4w]`."""
        return self.layers(x) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def make_step(layout):
    """A forward pass in a memory format of torch; the frame lies in it, and the result in main memory."""
    network = Generator().to(memory_format=layout)
    frame = (torch.rand(1, 3, 180, 320)).to(memory_format=layout)

    def step():
        with torch.inference_mode():
            return network(frame).numpy()

    return step


if __name__ == "__main__":
    serve(
        {
            "nchw": partial(make_step, torch.contiguous_format),
            "channels_last": partial(make_step, torch.channels_last),
        }
    )
