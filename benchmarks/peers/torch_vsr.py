"""The train step of configs/vsr_clips.py in eager torch: a recurrent network, 8 clips of 7 frames, 16 to 64 pixels.

Run by `benchmarks.steps` in its own environment:

    python benchmarks/peers/torch_vsr.py --case vsr

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds.
"""

import torch
import torch.nn.functional as F
from torch import nn

CLIPS, FRAMES, SMALL, SCALE, CHANNELS = 8, 7, 16, 4, 3
WIDTH, BLOCKS, FEATURES = 32, 6, 32


def cubic(small, scale):
    """The matrix `[scale small, small]` of cubic convolution (Keys 1981, a = -1/2); without taps beyond the ends."""
    places = (torch.arange(scale * small) + 0.5) / scale - 0.5
    x = (places[:, None] - torch.arange(small)).abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros(())))
    return weights / weights.sum(dim=1, keepdim=True)


class Block(nn.Module):
    """x plus 3x3, activation, 3x3 of it."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x):
        """The block."""
        return x + self.second(F.relu(self.first(x)))


class Recurrent(nn.Module):
    """Clips `[b,t,c,h,w]` to clips four times as large."""

    def __init__(self):
        super().__init__()
        fine = CHANNELS * SCALE**2
        self.enter = nn.Conv2d(2 * CHANNELS + FEATURES + fine, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(Block(WIDTH) for _ in range(BLOCKS))
        self.memory, self.image = nn.Conv2d(WIDTH, FEATURES, 3, padding=1), nn.Conv2d(WIDTH, fine, 3, padding=1)
        self.register_buffer("matrix", cubic(SMALL, SCALE))

    def forward(self, clips):
        """The clips, frame after frame."""
        before, images = clips[:, 0], []
        features = clips.new_zeros(len(clips), FEATURES, SMALL, SMALL)
        last = clips.new_zeros(len(clips), CHANNELS * SCALE**2, SMALL, SMALL)
        for frame in clips.unbind(1):
            x = torch.cat([frame, before, features, last], dim=1).contiguous(memory_format=torch.channels_last)
            x = F.relu(self.enter(x))
            for block in self.blocks:
                x = block(x)
            enlarged = self.matrix @ frame @ self.matrix.T
            last = F.pixel_unshuffle(enlarged, SCALE) + self.image(x)
            features, before = F.relu(self.memory(x)), frame
            images.append(F.pixel_shuffle(last, SCALE))
        return torch.stack(images, dim=1)


def make_step():
    """A step of the network on random clips and what they are reduced to; returns the loss as a float."""
    network = Recurrent().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.9, 0.99))
    large = torch.rand(CLIPS, FRAMES, CHANNELS, SCALE * SMALL, SCALE * SMALL) * 2 - 1
    clips = F.avg_pool2d(large.flatten(0, 1), SCALE).unflatten(0, (CLIPS, FRAMES))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.sqrt((network(clips) - large).square() + 1e-6).mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    from serving import serve  # beside this script; the tests import what is above without it

    serve({"vsr": make_step})
