"""Made zip.pt and stream.pt, with torch 2.13.0: `python tests/weights/golden/make.py`."""

import pathlib

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


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.save(state(), FOLDER / "zip.pt")
    torch.save(state(), FOLDER / "stream.pt", _use_new_zipfile_serialization=False)
