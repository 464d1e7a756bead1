"""`--mode=import`: creates the directory of a run from published weights, so that all modes can use them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.building.assemble import make_task
from jaxgan.checkpoints.manifest import write_manifest
from jaxgan.checkpoints.on_disk import EMA, absolute, quieten, shapes, unmistakable
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.cli.outputs import check_outputs
from jaxgan.config.run import RunConfig, from_tree, to_json
from jaxgan.errors import FINISHED, UserError
from jaxgan.game import DISCRIMINATOR, GENERATOR
from jaxgan.models.pretrained import stylegan2_nvidia, stylegan2_torch
from jaxgan.models.pretrained.names import nearest, prefixes, without_compiler
from jaxgan.models.pretrained.stylegan2 import Imported
from jaxgan.system import signals
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replace_file
from jaxgan.weights.reading import read

STYLES = 10_000  # averaged to the mean style if the file has none


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Reads `--weights`, and writes the config and the checkpoint of a run at step 0 into `--workdir`.

    Raises UserError for a file without a StyleGAN2 generator, and for a workdir that already has a run.
    """
    del config
    check_outputs("import", workdir, options)
    place = Workdir(workdir)
    if place.config.exists() or place.checkpoints.exists():
        raise UserError(f"--workdir={workdir}: there is already a run in it; give another")
    if "weights" not in options:
        raise UserError("--weights is missing: give a .pth, .safetensors or .npz file of a StyleGAN2 generator")
    imported = _imported(options["weights"])
    if imported.description:
        print(f"{options['weights']}: {imported.description}")
    section = imported.section
    made = from_tree(
        {
            "networks": {
                GENERATOR: section,
                DISCRIMINATOR: {"name": "stylegan2.Discriminator", "resolution": section["resolution"]},
            },
            "task": {
                "name": "generation.Generation",
                "adversary": {"loss": "adversarial.non_saturating"},
                "latent_dim": _latent_dim(imported),
                "condition": "label" if section["num_classes"] else None,
                "num_classes": section["num_classes"],
            },
            "data": {
                "name": "imported",
                "resolution": section["resolution"],
                "channels": section["channels"],
            },
            "images": 1,
        }
    )
    trees = _with_mean(imported, made)
    place.create()
    with signals.deferred():
        try:
            _write(place, made, trees)
            replace_file(place.config, to_json(made).encode())
        except BaseException:  # such as a full disk: clean up, so that the same command can be repeated
            shutil.rmtree(absolute(place.checkpoints), ignore_errors=True)
            raise
    command = f"--mode=sample --workdir={shlex.quote(plain(workdir))}"
    print(f"StyleGAN2 of {section['resolution']} pixels; generate pictures with {command}")
    return FINISHED


def _imported(path: str) -> Imported:
    tensors = without_compiler(read(path))
    try:
        if prefixes(tensors, stylegan2_nvidia.MARK):
            return stylegan2_nvidia.from_nvidia(tensors)
        if prefixes(tensors, stylegan2_torch.MARK):
            return stylegan2_torch.from_torch(tensors)
    except UserError as error:
        raise UserError(f"--weights={path}: {plain(error)}") from None
    marks, found = (stylegan2_nvidia.MARK, stylegan2_torch.MARK), nearest(stylegan2_torch.MARK, tensors)
    raise UserError(
        f"--weights={path}: its tensor names match no known StyleGAN2 generator; "
        f"expected names with {' or '.join(marks)}{found}"
    )


def _latent_dim(imported: Imported) -> int:
    label = imported.section["style_dim"] if imported.section["num_classes"] else 0
    return imported.params["mapping"]["dense_0"]["kernel"].shape[0] - label


def _with_mean(imported: Imported, config: RunConfig) -> dict[str, Any]:
    """The params and variables, with a mean style. Raises UserError if their shapes do not match the network."""
    task: Any = make_task(config)
    network, variables = task.generator, dict(imported.variables)
    latent, label = task.latents(jax.random.key(0), STYLES), None
    if task.num_classes:
        label = jax.random.randint(jax.random.key(1), (STYLES,), 0, task.num_classes)
    wanted = jax.eval_shape(
        lambda: network.init(jax.random.key(0), latent[:2], None if label is None else label[:2], train=False)
    )
    variables.setdefault("average", {"style_mean": np.zeros(imported.section["style_dim"], np.float32)})
    tree = {"params": imported.params, **variables}
    flat = [jax.tree_util.tree_leaves_with_path(each) for each in (wanted, tree)]
    ours, theirs = ({jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves} for leaves in flat)
    for name in ours.keys() | theirs.keys():
        if ours.get(name) != theirs.get(name):
            raise UserError(f"--weights: {plain(name, 120)}: got {theirs.get(name)}, expected {ours.get(name)}")
    if "average" not in imported.variables:
        styles = jax.jit(lambda tree: network.apply(tree, latent, label, train=False, method="map"))(tree)
        variables["average"] = {"style_mean": np.asarray(styles[:, 0].mean(axis=0))}
    return {"params": imported.params, "variables": variables}


def _write(place: Workdir, config: RunConfig, trees: Mapping[str, Any]) -> None:
    """Writes a checkpoint that holds only the averaged weights."""
    flat: dict[str, Any] = {}
    for kind, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path({GENERATOR: tree}):
            flat[f"{kind}/{jax.tree_util.keystr(path, simple=True, separator='/')}"] = jax.numpy.asarray(leaf)
    quieten()
    folder = absolute(place.checkpoints) / "0"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with unmistakable(folder.parent) as checkpoints, ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(checkpoints / folder.name / EMA, flat)
    record = {
        "step": 0,
        "images_seen": 0,
        "good": True,
        "keep_forever": True,
        "metrics": {},
        "config": json.loads(to_json(config)),
        "class_names": [str(number) for number in range(config.task["num_classes"])],
        "tree": {EMA: shapes(flat)},
    }
    write_manifest(folder, [EMA], record)
