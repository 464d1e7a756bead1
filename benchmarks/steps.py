"""Our train steps, and two networks and a layer alone, against torch's on the same machine, alternating in one period.

    python -m benchmarks.steps --cases mlp dcgan --json out.json

writes `{case: {ours_ms, peer_ms, ratio}}`, medians. Without `--peer-python` the peers' environment is
made once, in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys

from benchmarks.pair import alternate
from jaxgan.system.paths import cache_home, expanded

PEER = ("torch==2.13.0", "numpy")
BARE_PEER = ("stylegan2-torch==1.3.0",)  # without what they depend on, which our stand-ins replace
PEERS = {  # by case: what we run, the peer's script and the case's name there
    "mlp": ("mlp", "torch_steps.py"),
    "dcgan": ("dcgan", "torch_steps.py"),
    "stylegan2": ("stylegan2", "torch_stylegan2.py"),
    "stylegan2_tuned": ("stylegan2", "torch_stylegan2.py"),
    "stylegan2_r1": ("stylegan2_r1", "torch_stylegan2.py"),
    "stylegan2_tuned_r1": ("stylegan2_r1", "torch_stylegan2.py"),
    "r3gan": ("r3gan", "torch_r3gan.py"),
    "srgan": ("srgan", "torch_srgan.py"),
    "inception": ("inception", "torch_inception.py"),
    "rrdb": ("rrdb", "torch_rrdb.py"),
    "clips": ("clips", "torch_clips.py"),
    "clips_folded": ("clips", "torch_clips.py"),
    "vsr": ("vsr", "torch_vsr.py"),
    "video": ("video", "torch_video.py"),
    "video_penalties": ("video_penalties", "torch_video.py"),
}

HEAVY = {"rrdb": 20}  # by this much fewer repetitions


def peer_python() -> str:
    """The Python of the peers' environment, made where it is missing."""
    home = cache_home() / "jaxgan" / "peers" / "-".join((*PEER, *BARE_PEER)).replace("==", "-")
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEER], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-deps", *BARE_PEER], check=True)
        (home / "complete").touch()
    return str(python)


def main() -> None:
    """Time each case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--json", type=expanded, help="where to write the table")
    parser.add_argument("--peer-python", type=expanded, help="a Python that has torch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--reps", type=int, default=20)
    arguments = parser.parse_args()
    peer = arguments.peer_python or peer_python()
    table = {}
    for case in arguments.cases:
        ours, script = PEERS[case]
        commands = {
            "ours": [sys.executable, "-m", "benchmarks.ours", "--case", ours],
            "peer": [peer, str(pathlib.Path(__file__).parent / "peers" / script), "--case", case],
        }
        reps = -(-arguments.reps // HEAVY.get(case, 1))
        medians = alternate(commands, rounds=arguments.rounds, reps=reps)
        table[case] = {
            "ours_ms": round(medians["ours"], 2),
            "peer_ms": round(medians["peer"], 2),
            "ratio": round(medians["ours"] / medians["peer"], 3),
        }
        print(
            f"{case:18} ours {medians['ours']:8.2f} ms   torch {medians['peer']:8.2f} ms   "
            f"ratio {table[case]['ratio']:.3f}"
        )
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
