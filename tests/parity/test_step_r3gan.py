"""Whole rounds of R3GAN, with R1 and R2 in each, equal torch's."""

import pytest
import rounds
from peer import Peer, double
from torch import nn

from benchmarks.peers import torch_r3gan

LATENT, WIDTHS, BLOCKS, GROUP, GAMMA = 6, (8, 4), 1, 4, 0.5
NETWORK = {"widths": WIDTHS, "blocks": BLOCKS, "group_width": GROUP}
CONFIG = {
    "seed": 7,
    "networks": {
        "generator": {"name": "r3gan.Generator", **NETWORK},
        "discriminator": {"name": "r3gan.Discriminator", **NETWORK},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {
            "loss": "adversarial.relativistic",
            "penalties": tuple({"name": f"gradient_penalty.{name}", "gamma": GAMMA} for name in ("r1", "r2")),
        },
        "latent_dim": LATENT,
    },
}


def channels_first(value, like):
    """`[h,w,c]` as `[c,h,w]`."""
    return value.transpose(2, 0, 1).reshape(like.shape)


class R3GAN(Peer):
    gamma = GAMMA

    def make(self):
        options = {"blocks": BLOCKS, "group_width": GROUP}
        return torch_r3gan.Generator(WIDTHS, LATENT, **options), torch_r3gan.Discriminator(WIDTHS, **options)

    def link(self, generator, discriminator):
        for name, network, stages in (("generator", generator, (0, 1)), ("discriminator", discriminator, (1, 0))):
            blocks = [layer for layer in network.stages if isinstance(layer, torch_r3gan.Block)]
            for number, block in enumerate(blocks):
                path = f"{name}/block_{stages[number // BLOCKS]}_{number % BLOCKS}"
                for part in ("widen", "mix", "narrow"):
                    self.put_layer(f"{path}/{part}", getattr(block, part))
            (fit,) = (layer for layer in network.stages if isinstance(layer, nn.Conv2d))
            self.put_layer(f"{name}/fit_{stages[1]}", fit)
            self.put_layer(f"{name}/image", network.image)
        self.put_layer("generator/stem", generator.stem)
        self.put("generator/basis", generator.basis, channels_first)
        self.put("discriminator/basis", discriminator.basis.weight, channels_first)
        self.put_layer("discriminator/logit", discriminator.logit)

    def draw(self, played):
        return self.networks["generator"](double(played.given["draw"]))

    def turn(self, name, real, fake, played):
        discriminator, optimizer = self.networks["discriminator"], self.optimizers[name]
        if name == "generator":
            return torch_r3gan.generator_turn(discriminator, optimizer, real, fake)
        return torch_r3gan.discriminator_turn(discriminator, optimizer, real, fake, self.gamma)


@pytest.fixture(scope="module")
def played():
    return rounds.play(CONFIG, rounds.random_batches(3, 8))


def test_rounds_equal_torchs(played):
    start, ours = played
    R3GAN(start).assert_equal(ours)


@pytest.mark.parametrize("wrong", [{"gamma": 2 * GAMMA}, {"backwards": True}], ids="+".join)
def test_another_step_would_be_seen(wrong, played):
    start, ours = played
    assert {"loss", "gradient norm"} <= R3GAN(start, **wrong).beyond_bounds(ours, times=10).keys()
