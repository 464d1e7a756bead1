"""Whole rounds of SNGAN, with a generator turn in every second one, equal torch's; also with labels."""

import pytest
import rounds
import torch
import torch_sngan
from peer import Peer, double

LATENT, WIDTH = 6, 12
CONFIG = {
    "networks": {
        "generator": {"name": "resnet.Generator", "base_width": WIDTH // 4},
        "discriminator": {"name": "resnet.Discriminator", "base_width": WIDTH // 2},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {"loss": "adversarial.hinge"},
        "latent_dim": LATENT,
        "generator_every": 2,
    },
}
LABELLED = CONFIG | {"task": CONFIG["task"] | {"generator_every": 1, "condition": "label"}}


def from_pixels(value, like):
    """A dense layer's kernel `[z, h w c]`, or its bias, of 4 by 4 pixels: with channels first."""
    value = value.reshape(-1, 4, 4, WIDTH)
    return value.transpose(3, 1, 2, 0).reshape(like.shape)


class SNGAN(Peer):
    classes = 0

    def make(self):
        generator = torch_sngan.Generator(LATENT, WIDTH, 2, 3, self.classes)
        return generator, torch_sngan.Discriminator(WIDTH, 1, 3, self.classes)

    def link(self, generator, discriminator):
        self.put("generator/stem/kernel", generator.stem.weight, from_pixels)
        self.put("generator/stem/bias", generator.stem.bias, from_pixels)
        for index, block in enumerate(generator.blocks):
            path = f"generator/block_{index}"
            for number in range(2):
                self.put_norm(f"{path}/norm_{number}", block.norms[number])
                self.put_layer(f"{path}/conv_{number}", block.convs[number])
            self.put_layer(f"{path}/shortcut", block.shortcut)
        super().put_norm("generator/norm", generator.norm)
        self.put_layer("generator/image", generator.image)
        for index, block in enumerate(discriminator.blocks):
            layers = {"conv_0": block.convs[0], "conv_1": block.convs[1], "shortcut": block.shortcut}
            for name, layer in layers.items():
                if layer is not None:
                    self.put_spectral(f"block_{index}/", name, layer)
        self.put_spectral("", "logit", discriminator.logit)

    def put_spectral(self, block, name, layer):
        self.put(f"discriminator/{block}{name}/kernel", layer.weight_orig)
        self.put(f"discriminator/{block}{name}/bias", layer.bias)
        self.put(f"discriminator/spectral/{block}{name}_norm/{name}/kernel/u", layer.weight_u)

    def idle(self, path):
        return path.startswith("generator/block") and path.endswith(("conv_0/bias", "conv_1/bias", "shortcut/bias"))

    def label(self, played):
        return [torch.from_numpy(played.batch["label"])] if self.classes else []

    def draw(self, played):
        return self.networks["generator"](double(played.given["draw"]), *self.label(played))

    def turn(self, name, real, fake, played):
        discriminator, optimizer, label = self.networks["discriminator"], self.optimizers[name], self.label(played)
        if name == "generator":
            return torch_sngan.generator_turn(discriminator, optimizer, fake, *label)
        return torch_sngan.discriminator_turn(discriminator, optimizer, real, fake, *label)


class Labelled(SNGAN):
    classes = rounds.CLASSES

    def link(self, generator, discriminator):
        super().link(generator, discriminator)
        straight = lambda value, like: value  # noqa: E731
        self.put("discriminator/label/table/embedding", discriminator.label.weight_orig, straight)
        self.put("discriminator/spectral/label_norm/label/table/embedding/u", discriminator.label.weight_u)

    def put_norm(self, path, norm):
        for name in ("scale", "bias"):
            self.put(f"{path}/{name}/embedding", getattr(norm, name).weight, lambda value, like: value)
        self.put_statistics(path, norm.norm)


@pytest.fixture(scope="module")
def played():
    return rounds.play(CONFIG, rounds.random_batches(4, 16, seed=24))


def test_rounds_equal_torchs(played):
    start, ours = played
    assert [list(each.due) for each in ours] == [["discriminator"], ["discriminator", "generator"]] * 2
    SNGAN(start).assert_equal(ours)


@pytest.mark.parametrize(
    ("wrong", "kind"), [({"frozen": False}, "statistics"), ({"backwards": True}, "loss")], ids=("frozen", "backwards")
)
def test_another_step_would_be_seen(wrong, kind, played):
    start, ours = played
    assert kind in SNGAN(start, **wrong).beyond_bounds(ours, times=10)


def test_rounds_with_labels_equal_torchs():
    start, ours = rounds.play(LABELLED, rounds.random_batches(2, 16, labels=True, seed=19))
    Labelled(start).assert_equal(ours)
    for played in ours:
        played.batch["label"] = (played.batch["label"] + 1) % rounds.CLASSES
    assert {"loss", "gradients"} <= Labelled(start).beyond_bounds(ours, times=10).keys()
