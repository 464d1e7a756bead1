"""What every peer does on stdin and stdout, for `benchmarks.pair`. Needs torch alone: it lies beside the scripts."""

import argparse
import json
import sys
import time

import torch

WARM_UP = 3  # steps that are not timed


def serve(cases):
    """Answers each line `{"reps": n}` with the milliseconds of n steps of the case of the command line.

    `cases`: functions of no arguments by name; each makes a step, a function of no arguments.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True, choices=cases)
    case = parser.parse_args().case
    torch.manual_seed(0)
    step = cases[case]()
    for _ in range(WARM_UP):
        step()
    for line in sys.stdin:
        times = []
        for _ in range(json.loads(line)["reps"]):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"ms": times}, allow_nan=False), flush=True)
