"""Cost of R1 in the discriminator's turn, by network and method of computation.

    python -m benchmarks.penalties --networks dcgan r3gan --json out.json

prints a Markdown table of milliseconds a turn (the fakes' forward included) and megabytes of temporary memory at
32x32: without a penalty, exact at every step, exact at every 16th step (amortised), and by finite differences.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import statistics
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from jaxgan.building.builder import build
from jaxgan.game import DISCRIMINATOR
from jaxgan.losses.adversarial import non_saturating
from jaxgan.parallel.compiler import compiler_options, keep_freed_memory
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.system.paths import expanded
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import DueSet, make_train_step

RESOLUTION, CHANNELS, LATENT = 32, 3, 64
ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.0, "b2": 0.99}
LAZY = 16  # steps
NETWORKS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {  # sections of generator and discriminator
    "dcgan": (
        {"name": "dcgan.Generator", "base_width": 64},
        {"name": "dcgan.Discriminator", "base_width": 64, "norm": "none"},
    ),
    "resnet": (
        {"name": "resnet.Generator", "base_width": 16},
        {"name": "resnet.Discriminator", "base_width": 32, "norm": "none"},
    ),
    "stylegan2": (
        {"name": "stylegan2.Generator", "style_dim": 64, "mapping_layers": 4, "max_width": 64},
        {"name": "stylegan2.Discriminator", "max_width": 64},
    ),
    "r3gan": ({"name": "r3gan.Generator", "base_width": 64}, {"name": "r3gan.Discriminator", "base_width": 64}),
}
WAYS = {
    "none": (),
    "exact": (Penalty("r1", r1),),
    "lazy": (Penalty("r1", r1, every=LAZY),),
    "finite_difference": (Penalty("r1", partial(r1, method="finite_difference")),),
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of a turn: median time, and memory in addition to arguments and results."""

    milliseconds: float
    megabytes: float


class Turn:
    """A compiled turn of the discriminator with its due phases."""

    def __init__(self, network: str, way: str, due: DueSet, batch: int):
        """Compile the turn."""
        fill = {"resolution": RESOLUTION, "channels": CHANNELS, "num_classes": 0}
        generator, discriminator = (build(section, "network", fill=fill) for section in NETWORKS[network])
        adversary = Adversary(discriminator, non_saturating, penalties=WAYS[way])
        task = Generation(generator, adversary, latent_dim=LATENT)
        assert all(task.phases()[index].player == DISCRIMINATOR for index in due)
        optimizers = {player: make_optimizer(ADAM) for player in task.players}
        step, key = make_train_step(task, optimizers, images=batch), jax.random.key(0)
        self._images = {"image": jax.random.uniform(key, (batch, RESOLUTION, RESOLUTION, CHANNELS), minval=-1.0)}
        self._state = jax.jit(lambda: init_state(task, optimizers, key, self._images))()
        options = compiler_options(jax.default_backend())
        turn = jax.jit(lambda s, b: step(s, b, key, due), donate_argnums=0, compiler_options=options)
        self._compiled = turn.lower(self._state, self._images).compile()
        memory = self._compiled.memory_analysis()
        assert memory is not None
        self.megabytes = memory.temp_size_in_bytes / 1e6
        self.times: list[float] = []

    def play(self) -> None:
        """Time one turn."""
        start = time.perf_counter()
        self._state, metrics = self._compiled(self._state, self._images)
        jax.block_until_ready((self._state, metrics))
        self.times.append((time.perf_counter() - start) * 1e3)

    @property
    def milliseconds(self) -> float:
        """The median time without the first two turns."""
        return statistics.median(self.times[2:])


def costs_of(network: str, batch: int, reps: int) -> dict[str, Cost]:
    """The cost of a turn by method, timed in turns; for a lazy penalty the mean time and the larger memory."""
    turns = {way: Turn(network, way, (0,), batch) for way in ("none", "exact", "finite_difference")}
    turns["due"] = Turn(network, "lazy", (0, 1), batch)  # a lazy penalty when it is due
    for _ in range(reps + 2):
        for turn in turns.values():
            turn.play()
    costs = {way: Cost(turn.milliseconds, turn.megabytes) for way, turn in turns.items()}
    without, due = costs["none"], costs.pop("due")
    mean = without.milliseconds + (due.milliseconds - without.milliseconds) / LAZY
    return {**costs, "lazy": Cost(mean, max(due.megabytes, without.megabytes))}


def table(costs: Mapping[str, Mapping[str, Cost]]) -> str:
    """The costs as a Markdown table."""
    titles = ("no penalty", "exact", f"exact, every {LAZY}", "finite difference")
    lines = ["| network | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for network, ways in costs.items():
        cells = (f"{ways[way].milliseconds:.1f} ms, {ways[way].megabytes:.0f} MB" for way in WAYS)
        lines.append(f"| {network} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--reps", type=int, default=10)
    parser.add_argument("--json", type=expanded, help="where to write the figures")
    arguments = parser.parse_args()
    keep_freed_memory()
    costs = {network: costs_of(network, arguments.batch_size, arguments.reps) for network in arguments.networks}
    print(table(costs))
    if arguments.json:
        tree = {name: {way: dataclasses.asdict(cost) for way, cost in ways.items()} for name, ways in costs.items()}
        pathlib.Path(arguments.json).write_text(json.dumps(tree, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
