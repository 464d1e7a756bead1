"""Test restoration of a folder of odd files: apply a run of scale 2 to odd pictures and print the memory used.

    python -m benchmarks.odd_folder

trains `configs/srgan_photos.py` for two steps, unless `--workdir` gives a run of scale 2, and ends with status 0 if six
pictures come back as they should, and two files that are none are named as failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan.system.paths import expanded

LARGE = (4000, 5000)
PICTURES = {  # by name: height and width, mode, and the mode of the output
    "colours.jpg": ((60, 90), "RGB", "RGB"),
    "alpha.png": ((50, 70), "RGBA", "RGBA"),
    "sixteen_bits.png": ((40, 30), "I;16", "I;16"),
    "cmyk.jpg": ((64, 48), "CMYK", "RGB"),
    "one_pixel.png": ((1, 1), "RGB", "RGB"),
    "large.png": (LARGE, "RGB", "RGB"),
}
FAILURES = ("notes.txt", "truncated.png")


def make_folder(folder: Path) -> None:
    """Write the pictures, a text file and a truncated PNG."""
    random = np.random.default_rng(0)
    for name, (size, mode, _) in PICTURES.items():
        if mode == "I;16":
            pixels = random.integers(0, 2**16, size, np.uint16)
        else:
            pixels = random.integers(0, 256, (*size, len(mode)), np.uint8)  # a letter for each channel
        Image.frombytes(mode, size[::-1], pixels.tobytes()).save(folder / name)
    whole = (folder / "alpha.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("no picture\n")


def mistakes(restored: Path, told: str, status: int) -> list[str]:
    """A list of what is wrong."""
    found = [] if status == 1 else [f"the status is {status}, not 1"]
    for name, ((height, width), _, mode) in PICTURES.items():
        try:
            with Image.open(restored / name) as picture:
                picture.load()
                if (picture.size, picture.mode) != ((2 * width, 2 * height), mode):
                    found.append(f"{name} is {picture.mode} of {picture.size}")
        except OSError as error:
            found.append(f"{name}: {error}")
    found += [f"{name} is not told of" for name in FAILURES if f"{name}: failed" not in told]
    return found + [f"{path.name} is left over" for path in restored.iterdir() if path.name not in PICTURES]


def main() -> int:
    """The exit status: 0 if everything is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=expanded, help="workdir of a run of scale 2; default: a new run of two steps")
    workdir = parser.parse_args().workdir
    Image.MAX_IMAGE_PIXELS = None  # these are our own pictures
    with tempfile.TemporaryDirectory() as scratch:
        folder, restored = Path(scratch, "pictures"), Path(scratch, "restored")
        folder.mkdir()
        make_folder(folder)
        if workdir is None:
            workdir = f"{scratch}/run"
            short = ["--config.images=32", "--config.data.crops=1", "--config.evaluation.samples=1"]
            command = ["--config=configs/srgan_photos.py", f"--workdir={workdir}", *short]
            subprocess.run([sys.executable, "-m", "jaxgan.main", *command], check=True, capture_output=True)
        command = ["--mode=apply", f"--workdir={workdir}", f"--input={folder}", f"--output={restored}"]
        start = time.monotonic()
        with open(f"{scratch}/told", "w+") as told:
            process = subprocess.Popen([sys.executable, "-m", "jaxgan.main", *command], stdout=told, stderr=told)
            _, status, usage = os.wait4(process.pid, 0)
            told.seek(0)
            text = told.read()
        print(text)
        print(f"at most {usage.ru_maxrss / 1e6:.2f} GB, {time.monotonic() - start:.0f} s")  # Linux counts in kB
        process.returncode = os.waitstatus_to_exitcode(status)
        found = mistakes(restored, text, process.returncode)
        print("\n".join(found) or f"{len(PICTURES)} right outputs, {len(FAILURES)} named failures")
        return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
