"""Our train steps against torch's on the same machine, alternating in one period.

    python -m benchmarks.steps --cases mlp dcgan --json out.json

writes `{case: {ours_ms, peer_ms, ratio}}`, medians. Without `--peer-python` the peers' environment is
made once, in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys

from benchmarks.ours import CASES
from benchmarks.pair import alternate

PEER = ("torch==2.13.0", "numpy")
PEER_SCRIPT = pathlib.Path(__file__).parent / "peers" / "torch_steps.py"


def peer_python() -> str:
    """The Python of the peers' environment, made where it is missing."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    home = cache / "jaxgan" / "peers" / PEER[0].replace("==", "-")
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEER], check=True)
        (home / "complete").touch()
    return str(python)


def main() -> None:
    """Time each case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--json", help="where to write the table")
    parser.add_argument("--peer-python", help="a Python that has torch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--reps", type=int, default=20)
    arguments = parser.parse_args()
    peer = arguments.peer_python or peer_python()
    table = {}
    for case in arguments.cases:
        commands = {
            "ours": [sys.executable, "-m", "benchmarks.ours", "--case", case],
            "peer": [peer, str(PEER_SCRIPT), "--case", case],
        }
        medians = alternate(commands, rounds=arguments.rounds, reps=arguments.reps)
        table[case] = {
            "ours_ms": round(medians["ours"], 2),
            "peer_ms": round(medians["peer"], 2),
            "ratio": round(medians["ours"] / medians["peer"], 3),
        }
        print(
            f"{case:8} ours {medians['ours']:8.2f} ms   torch {medians['peer']:8.2f} ms   "
            f"ratio {table[case]['ratio']:.3f}"
        )
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
