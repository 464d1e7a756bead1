"""Each family trains: two tiny steps of its config, both players move, nothing is skipped."""

import pathlib

import jax
import numpy as np
import pytest

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.parts import make_init, make_optimizers, make_step, root_key
from jaxgan.config.overrides import load_config
from jaxgan.data.sources import DataSpec
from jaxgan.fields import picture_fields
from jaxgan.game import delivered, product_of
from jaxgan.inference.sampling import Sampler

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
ROWS = 4
FAMILIES = {  # a config of each, and what is changed so that every phase is played
    "vanilla_gan": {},
    "dcgan_mnist": {},
    "sngan_fashion": {"task.generator_every": "1", "task.condition": "label"},
    "biggan": {},
    "progan": {"task.latent_dim": "8"},
    "stylegan2": {"task.latent_dim": "8", "task.condition": "label", "task.generator_penalties.0.every": "1"},
    "r3gan_fashion": {"task.adversary.augment": "{'name': 'diffaugment.DiffAugment'}"},
    "msg_fashion": {"task.adversary.penalties.0.every": "1"},
    "srgan_photos": {},
    "inpaint_photos": {},
    "edges2photo": {},
    "vdenoise_clips": {},
    "vinpaint_clips": {},
    "video_digits": {"task.adversary.penalties.0.every": "1", "task.adversary.penalties.1.every": "1"},
    "stylegan_v": {"task.latent_dim": "8", "task.adversary.penalties.0.every": "1"},
    "r3gan_video": {},
    "mocogan_digits": {},
}


QUICK = ("vanilla_gan", "dcgan_mnist")  # the others take seconds to compile


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_two_tiny_steps(name):
    changes = {"tiny": "true", "data.flip": "false", **FAMILIES[name]}
    config = load_config(str(CONFIGS / f"{name}.py"), changes)
    fields = picture_fields(16, 16, 3, tuple("0123456789"), frames=config.data.frames)
    spec = DataSpec("random", "train", 100, fields, "0" * 16)
    config = fill_in(config, spec)
    task = make_task(config)
    optimizers = make_optimizers(config, task)
    before = jax.jit(make_init(config, task, optimizers, spec))()
    step = jax.jit(make_step(config, task, optimizers), static_argnums=3)
    phases = task.phases()
    due = tuple(index for index, phase in enumerate(phases) if phase.start == max(each.start for each in phases))
    if len({phase.start for phase in phases}) > 1:  # of networks that grow, the last stage
        before = before.replace(images_seen=jax.numpy.int32(phases[due[0]].start + 1))
    keys = jax.random.split(jax.random.key(0))
    batch = {
        "image": jax.random.uniform(keys[0], (ROWS, *fields["image"].known), minval=-1.0),
        "label": jax.random.randint(keys[1], (ROWS,), 0, 10),
    }
    after = before
    for _ in range(2):
        after, metrics = step(after, batch, root_key(config), due)
        assert all(np.isfinite(value).all() for value in metrics.values()), metrics
    assert int(after.skipped) == 0
    for player in task.players:
        moved = [
            bool((a != b).any()) for a, b in zip(*map(jax.tree.leaves, (before.params[player], after.params[player])))
        ]
        assert np.mean(moved) > 0.5, player
    if not hasattr(task, "generate"):
        restored = task.apply(after.ema_params, after.ema_variables, task.conditions(batch, keys[0]))
        assert restored.shape == batch["image"].shape
        assert np.isfinite(restored).all()
        return
    _, product = product_of(task)
    images = Sampler(product, batch_size=2).generate(delivered(after, product.networks), 0, 2)
    assert images.shape == (2, *fields["image"].known)
    assert np.isfinite(images).all()
