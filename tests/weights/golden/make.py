"""Made the files beside it, with torch 2.13.0 and numpy 2: `python tests/weights/golden/make.py`."""

import argparse
import collections
import pathlib

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent


def state():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    return {
        "g_ema": {
            "transposed": base.permute(2, 0, 1),
            "shared": base[1, :, 1::2],
            "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
            "scalar": torch.tensor(7, dtype=torch.int64),
        },
        "bfloat16": torch.tensor([1.0, -0.5, 3.140625], dtype=torch.bfloat16),
        "half": torch.tensor([[0.25]], dtype=torch.float16),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "module": torch.nn.Linear(2, 1, bias=False).state_dict(),
        "step": 12,
    }


def training():
    """A checkpoint in the middle of training, with all kinds of things beside the weights."""
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    noted = torch.nn.Parameter(torch.ones(3))
    noted.note = "hello"
    beside = [torch.Size([2, 3]), torch.device("cpu"), torch.float32, {1, 2}, frozenset({3}), range(3), slice(1, 2), 1j]
    return {
        "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/a/b"), betas=(0.5, 0.9)),
        "best": np.float64(1.5),
        "count": np.int64(3),
        "kind": np.dtype("float32"),
        "rng": np.random.RandomState(0).get_state(),
        "beside": beside,
        "logs": collections.defaultdict(list, {"a": [1]}),
        "counter": collections.Counter("aab"),
        "optimizer": optimizer.state_dict(),
        "callbacks": {argparse.Namespace: {"wait": 1}},
        "state_dict": collections.OrderedDict(
            (f"module.{k}", torch.ones_like(v)) for k, v in network.state_dict().items()
        ),
        "u16": torch.tensor([1, 2], dtype=torch.uint16),
        "noted": noted,
    }


class Unit(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = torch.nn.Linear(inputs, outputs, bias=False)
        self.register_buffer("mean", torch.arange(outputs, dtype=torch.float32))

    def forward(self, x):
        return self.conv(x) - self.mean


class Script(torch.nn.Module):
    """Attributes of all kinds, and submodules whose order is not that of their names."""

    def __init__(self):
        super().__init__()
        self.second, self.first = Unit(2, 3), Unit(3, 2)
        self.sizes, self.resize = [1, 2], True

    def forward(self, x, rescale: bool = True):
        if rescale:
            x = x / 127.5 - 1
        return self.second(self.first(x))


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.save(state(), FOLDER / "zip.pt")
    torch.save(state(), FOLDER / "stream.pt", _use_new_zipfile_serialization=False)
    torch.save(training(), FOLDER / "training.pt")
    torch.save({"whole": torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU())}, FOLDER / "module.pt")
    torch.jit.script(Script().eval()).save(str(FOLDER / "script.pt"))
