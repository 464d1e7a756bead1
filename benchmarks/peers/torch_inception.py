"""Inception-v3 features, as for the Frechet distance, in torch. Run by `benchmarks.steps` in its own environment.

    python benchmarks/peers/torch_inception.py --case inception

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n batches in milliseconds. Weights are
random, batch norms folded into the convolutions.
"""

import torch
from serving import serve
from torch import nn

BATCH, SIZE = 16, 299


class Branches(nn.Module):
    """Networks side by side, their channels one after the other."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        """The branches of x."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def conv(features, kernel=1, stride=1, padding=0):
    """A convolution of as many channels as come, and ReLU."""
    return nn.Sequential(nn.LazyConv2d(features, kernel, stride, padding), nn.ReLU(inplace=True))


def mean():
    """Means of 3x3 pixels, those outside not counted: the Frechet distance's variant."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def chain(*layers):
    """Layers one after the other."""
    return nn.Sequential(*layers)


def row(features):
    """A convolution of 7 pixels of a row."""
    return conv(features, (1, 7), 1, (0, 3))


def column(features):
    """A convolution of 7 pixels of a column."""
    return conv(features, (7, 1), 1, (3, 0))


def block_35(pooled):
    """The blocks at 35 pixels."""
    return Branches(
        conv(64),
        chain(conv(48), conv(64, 5, 1, 2)),
        chain(conv(64), conv(96, 3, 1, 1), conv(96, 3, 1, 1)),
        chain(mean(), conv(pooled)),
    )


def block_17(width):
    """The blocks at 17 pixels."""
    return Branches(
        conv(192),
        chain(conv(width), row(width), column(192)),
        chain(conv(width), column(width), row(width), column(width), row(192)),
        chain(mean(), conv(192)),
    )


def block_8(pool):
    """The blocks at 8 pixels; the last pools by maxima."""

    def both():
        return Branches(conv(384, (1, 3), 1, (0, 1)), conv(384, (3, 1), 1, (1, 0)))

    return Branches(
        conv(320),
        chain(conv(384), both()),
        chain(conv(448), conv(384, 3, 1, 1), both()),
        chain(pool, conv(192)),
    )


def inception():
    """The network up to its last pooling: images `[B,3,299,299]` to features `[B,2048]`."""
    return nn.Sequential(
        *(conv(32, 3, 2), conv(32, 3), conv(64, 3, 1, 1), nn.MaxPool2d(3, 2)),
        *(conv(80), conv(192, 3), nn.MaxPool2d(3, 2)),
        *(block_35(32), block_35(64), block_35(64)),
        Branches(conv(384, 3, 2), chain(conv(64), conv(96, 3, 1, 1), conv(96, 3, 2)), nn.MaxPool2d(3, 2)),
        *(block_17(128), block_17(160), block_17(160), block_17(192)),
        Branches(
            chain(conv(192), conv(320, 3, 2)),
            chain(conv(192), row(192), column(192), conv(192, 3, 2)),
            nn.MaxPool2d(3, 2),
        ),
        *(block_8(mean()), block_8(nn.MaxPool2d(3, 1, 1))),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def features():
    """A function of no arguments that computes the features of one batch."""
    network, images = inception().eval(), torch.rand(BATCH, 3, SIZE, SIZE) * 2 - 1
    with torch.inference_mode():
        assert network(images[:1]).shape == (1, 2048)  # makes the weights
    network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def step():
        return float(network(images)[0, 0])

    return step


CASES = {"inception": features}


if __name__ == "__main__":
    serve(CASES)
