"""Frames per second of the published network for films, compared with eager torch on the same machine, in turns.

    python -m benchmarks.films --json out.json

enlarges frames of 320 x 180 pixels fourfold with SRVGG: `ours` as `--mode=apply` does it, `plain` without options of
the compiler; torch's with both of its memory formats (`nchw`, `channels_last`). Writes
`{name: {frames_per_second, of_nchw, of_channels_last}}`, of medians. Random weights: they make no difference.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from benchmarks.pair import alternate
from benchmarks.steps import peer_python
from jaxgan.system.paths import expanded

OURS = {"ours": "srvgg", "plain": "srvgg_plain"}  # and their cases in `benchmarks.ours`
PEERS = ("nchw", "channels_last")


def main() -> None:
    """Time each and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=expanded, help="where to write the table")
    parser.add_argument("--peer-python", type=expanded, help="a Python that has torch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--reps", type=int, default=5)
    arguments = parser.parse_args()
    peer, script = arguments.peer_python or peer_python(), pathlib.Path(__file__).parent / "peers" / "torch_srvgg.py"
    commands = {name: [sys.executable, "-m", "benchmarks.ours", "--case", case] for name, case in OURS.items()}
    commands |= {name: [peer, str(script), "--case", name] for name in PEERS}
    medians = alternate(commands, rounds=arguments.rounds, reps=arguments.reps)
    table = {
        name: {
            "frames_per_second": round(1e3 / milliseconds, 3),
            **{f"of_{other}": round(medians[other] / milliseconds, 3) for other in PEERS},
        }
        for name, milliseconds in medians.items()
    }
    for name, row in table.items():
        ratios = "   ".join(f"{row[f'of_{other}']:.2f} of {other}" for other in PEERS)
        print(f"{name:14} {row['frames_per_second']:6.2f} frames/s   {ratios}")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
