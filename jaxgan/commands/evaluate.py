"""`--mode=evaluate`: scores a checkpoint of a run against its data set."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.cli.loading import load_model
from jaxgan.cli.options import FRAMES, allowed, checkpoint_choice, integer
from jaxgan.cli.outputs import check_outputs
from jaxgan.cli.setup import start_jax
from jaxgan.config.domains import MOST, Domain
from jaxgan.config.run import RunConfig
from jaxgan.errors import FINISHED, NotFiniteError, UserError
from jaxgan.evaluators.choice import UNNAMED, make_evaluators, manifests, prefixed, with_samples
from jaxgan.evaluators.controls import Controlled
from jaxgan.evaluators.evaluator import Generate, Trained
from jaxgan.evaluators.path_length import Featured, feature_path_length, path_manifest
from jaxgan.evaluators.samples import generate_with
from jaxgan.evaluators.score_files import check_same, existing, read_report, write_report
from jaxgan.fields import Kind, frames
from jaxgan.inference.model import Model
from jaxgan.parallel.mesh import make_mesh
from jaxgan.system.plain import plain

SEVERAL = Domain(least=2, most=MOST)


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Prints the scores of `--checkpoint` with their manifest, and writes them into the workdir.

    `--samples` overrides the number of samples in the config. `--against` is another scores file to compare with;
    raises UserError if its manifest differs. `--path_length` adds the path length over this many paths. `--frames` adds
    scores `last/...` of the last frames of longer clips, as many as the clips of the data have, so that they are
    comparable to those of the first frames. Scores of clips are printed beside those of `jaxgan.evaluators.controls`.
    """
    check_outputs("evaluate", workdir, options)
    if "samples" in options:
        config = with_samples(config, integer(options, "samples", 0, SEVERAL))
    against = read_report(options["against"]) if "against" in options else None
    paths = _paths(options)
    checkpoint_choice(options)  # reports mistakes before anything is loaded
    start_jax(config)
    mesh = make_mesh({"data": -1})
    kind: Kind | None = "latent" if paths else None
    model = load_model(workdir, options, kind, batch_size=config.evaluation.batch_size, mesh=mesh)
    made = make_evaluators(config, model.product, allowed(options), only_fitting="product" in options)
    evaluators = {name: each.evaluator for name, each in made.items()}
    manifest = manifests(evaluators)
    featured = next((each for each in evaluators.values() if isinstance(each, Featured)), None) if paths else None
    if paths and featured is None:
        raise UserError("--path_length: no evaluator of this run uses features; expected none")
    if featured is not None:
        manifest["path_length"] = path_manifest(paths, straight=model.has_styles)
    if "frames" in options:
        manifest["last_of"] = integer(options, "frames", 1, FRAMES)
    if against is not None:
        check_same(manifest, against["manifest"], options["against"])

    def restore(conditions: np.ndarray) -> np.ndarray:
        restorer = model.restorer
        return np.asarray((restorer.shot or restorer.apply)(jnp.asarray(conditions)))

    scored, scores = {UNNAMED: Trained(generate_with(model.generate), restore, model)}, dict[str, float]()
    if "frames" in options:
        scored["last"] = Trained(_last_frames(model, manifest["last_of"]))
    try:
        for part, trained in scored.items():
            for name, evaluator in evaluators.items():
                scores |= prefixed(part, prefixed(name, evaluator.run(trained, config.seed)))
    except NotFiniteError as error:
        raise UserError(f"--checkpoint: step {model.step} of {workdir} cannot be scored: {error}") from None
    if featured is not None:
        found = _path_length(model, featured, paths, config.seed)
        scores |= existing({f"path_length/{featured.manifest['features']}": found})
    controls = dict[str, dict[str, float]]()
    for name, evaluator in evaluators.items():
        if isinstance(evaluator, Controlled):
            for control, of_control in evaluator.controls(config.seed).items():
                controls.setdefault(control, {}).update(prefixed(name, of_control))
    report = {"step": model.step, "images": model.images_seen, "scores": scores, "manifest": manifest}
    report |= {"controls": controls} if controls else {}
    path = Workdir(workdir).root / f"scores-{model.step}.json"
    write_report(path, report)
    for name, value in scores.items():
        other = "" if against is None else f"   against {against['scores'].get(name, math.nan):.4f}"
        beside = "".join(f"   {control} {found[name]:.4f}" for control, found in controls.items() if name in found)
        print(f"{name:40} {value:.4f}{other}{beside}")
    print(plain(f"step {model.step}; made with: {json.dumps(manifest, allow_nan=False)}"))
    print(plain(f"written to {path}"))
    return FINISHED


def _last_frames(model: Model, count: int) -> Generate:
    """Generates clips of `count` frames and returns their last frames, as many as clips usually have.

    Raises UserError if `count` is less than that, or if the model cannot make longer clips.
    """
    usual = frames(model.gives)
    if count < usual:
        raise UserError(f"--frames: got {count}, expected {usual} or more")
    longer = generate_with(model.retimed(count).generate)
    return lambda seed, asked: longer(seed, asked)[:, -usual:]


def _paths(options: Mapping[str, str]) -> int:
    """The number of paths for the path length; 0: not computed. Raises UserError for one path."""
    if "path_length" not in options:
        return 0
    return integer(options, "path_length", 0, SEVERAL)


def _path_length(generator: Model, evaluator: Featured, paths: int, seed: int) -> float:
    """The path length in style space if there are styles, else in latent space; each path stays in one class."""
    latents = np.asarray(generator.latents(seed, 2 * paths))
    labels = evaluator.labels(paths)
    if not generator.has_styles:
        starts, ends = latents[:paths], latents[paths:]

        def images(codes: np.ndarray, rows: slice) -> np.ndarray:
            return generator.synthesize(codes, None if labels is None else labels[rows])

        return feature_path_length(images, evaluator.features, starts, ends, straight=False)
    starts, ends = (generator.styles(part, labels)[:, 0] for part in (latents[:paths], latents[paths:]))
    layers = generator.styles(latents[:1], None if labels is None else labels[:1]).shape[1]

    def synthesize(styles: np.ndarray, rows: slice) -> np.ndarray:
        del rows  # styles already include the label
        return generator.synthesize_styles(np.repeat(styles[:, None], layers, axis=1))

    return feature_path_length(synthesize, evaluator.features, starts, ends, straight=True)
