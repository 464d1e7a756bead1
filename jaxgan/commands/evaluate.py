"""`--mode=evaluate`: scores a checkpoint of a run against its data set."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from jaxgan.commands.sample import checkpoint_choice
from jaxgan.commands.setup import cache_dir, generate_with, start_jax
from jaxgan.config import RunConfig
from jaxgan.errors import FINISHED, UserError
from jaxgan.evaluators.distribution import make_distribution_evaluator
from jaxgan.evaluators.manifests import check_same, read_report
from jaxgan.media.images import replace_file
from jaxgan.restore import load
from jaxgan.training.workdir import Workdir


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Prints the scores of `--checkpoint` with what they were made with, and writes them under the workdir.

    `--samples` overrides the config's number of samples. `--against` is another file of scores, beside which
    these are printed; raises UserError where the two were made with different things.
    """
    samples = options.get("samples")
    if samples is not None:
        if not samples.isdecimal() or int(samples) < 2:
            raise UserError(f"--samples: got {samples!r}, accepted is a whole number of 2 or more")
        evaluation = dataclasses.replace(config.evaluation, samples=int(samples))
        config = dataclasses.replace(config, evaluation=evaluation)
    against = read_report(options["against"]) if "against" in options else None
    start_jax(config)
    evaluator = make_distribution_evaluator(config, cache_dir=str(cache_dir() / "classifiers"))
    if against is not None:
        check_same(evaluator.manifest, against["manifest"], options["against"])
    generator = load(workdir, step=checkpoint_choice(options), batch_size=config.evaluation.batch_size)
    scores = evaluator.run(generate_with(generator.generate), config.seed)
    report = {
        "step": generator.step,
        "images": generator.images_seen,
        "scores": scores,
        "manifest": evaluator.manifest,
    }
    path = Workdir(workdir).root / f"scores-{generator.step}.json"
    replace_file(path, (json.dumps(report, indent=2) + "\n").encode())
    for name, value in scores.items():
        other = "" if against is None else f"   there {against['scores'][name]:.4f}"
        print(f"{name:40} {value:.4f}{other}")
    print(f"step {generator.step}; made with: {json.dumps(evaluator.manifest)}")
    print(f"written to {path}")
    return FINISHED
