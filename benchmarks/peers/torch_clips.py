"""A (2+1)-D convolution, forward and backward, in eager torch: 16 clips of 8 frames, 32 x 32 pixels, 32 channels.

Run by `benchmarks.steps` in its own environment:

    python benchmarks/peers/torch_clips.py --case clips

answers each line on stdin, `{"reps": n}`, with one of JSON: milliseconds of n forward and backward passes. `clips` has
convolutions in three dimensions, as torchvision's R(2+1)D; `clips_folded` has those of frames in two, and those along
time in two as well, over a picture of as many rows as frames.
"""

import torch
import torch.nn.functional as F
from serving import serve
from torch import nn

CLIPS, FRAMES, SIZE, WIDTH, MIDDLE = 16, 8, 32, 32, 72


class Direct(nn.Module):
    """By kernels (1, 3, 3) and (3, 1, 1)."""

    layout = torch.channels_last_3d

    def __init__(self):
        super().__init__()
        self.space = nn.Conv3d(WIDTH, MIDDLE, (1, 3, 3), padding=(0, 1, 1))
        self.time = nn.Conv3d(MIDDLE, WIDTH, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x):
        """`[b,c,t,h,w]` to the same shape."""
        return self.time(F.relu(self.space(x)))


class Folded(nn.Module):
    """By kernels (3, 3) of frames and (3, 1) of pictures whose rows are frames."""

    layout = torch.channels_last

    def __init__(self):
        super().__init__()
        self.space = nn.Conv2d(WIDTH, MIDDLE, 3, padding=1)
        self.time = nn.Conv2d(MIDDLE, WIDTH, (3, 1), padding=(1, 0))

    def forward(self, x):
        """`[b t,c,h,w]` to `[b,c,t,h w]`."""
        y = F.relu(self.space(x)).permute(0, 2, 3, 1)  # frames with their channels last, as they lie in memory
        return self.time(y.reshape(CLIPS, FRAMES, SIZE * SIZE, MIDDLE).permute(0, 3, 1, 2))


def make_step(kind, *shape):
    """A forward and a backward pass by clips and params."""
    network = kind().to(memory_format=kind.layout)
    clips = torch.randn(shape).to(memory_format=kind.layout).requires_grad_()

    def step():
        network.zero_grad()
        clips.grad = None
        network(clips).square().mean().backward()

    return step


if __name__ == "__main__":
    cases = {
        "clips": lambda: make_step(Direct, CLIPS, WIDTH, FRAMES, SIZE, SIZE),
        "clips_folded": lambda: make_step(Folded, CLIPS * FRAMES, WIDTH, SIZE, SIZE),
    }
    serve(cases)
