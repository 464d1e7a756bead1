"""Whole rounds of StyleGAN2, one of them with R1 and path length, equal those of the package stylegan2-torch."""

import importlib
import math

import pytest
import rounds
import torch
from peer import PLAYERS, Peer, channels_first, double

from benchmarks.peers import torch_stylegan2

ROWS, PIXELS, STYLE, LAYERS, WIDTHS = 8, 16, 8, 2, {4: 10, 8: 8, 16: 4}
GAMMA, MIXING, STYLE_DECAY = 3.0, 0.7, 0.99
EVERY = {"discriminator": 16, "generator": 4}  # rounds from one regularization to the next
NETWORK = {"base_width": WIDTHS[PIXELS], "max_width": WIDTHS[4]}
CONFIG = {
    "networks": {
        "generator": {
            "name": "stylegan2.Generator",
            "style_dim": STYLE,
            "mapping_layers": LAYERS,
            "style_mixing": MIXING,
            "style_decay": STYLE_DECAY,
            **NETWORK,
        },
        "discriminator": {"name": "stylegan2.Discriminator", **NETWORK},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {
            "loss": "adversarial.non_saturating",
            "penalties": ({"name": "gradient_penalty.r1", "gamma": GAMMA, "every": EVERY["discriminator"]},),
        },
        "latent_dim": STYLE,
        "generator_penalties": ({"name": "path_length.path_length", "every": EVERY["generator"]},),
    },
}
# Karras et al. 2020, appendix B: c = k / (k + 1) times the rate, and the betas to the power of c
SHARES = {player: every / (every + 1) for player, every in EVERY.items()}
RATES = {player: rounds.RATE * share for player, share in SHARES.items()}
BETAS = {player: tuple(beta**share for beta in rounds.BETAS) for player, share in SHARES.items()}


class StyleGAN2(Peer):
    rates, betas = RATES, BETAS
    gains = EVERY  # of the regularizations: the rounds that each stands for
    gamma = GAMMA

    def make(self):
        make_generator, make_discriminator = torch_stylegan2.load_package(True)
        self.d_reg_loss = importlib.import_module("stylegan2_torch.loss").d_reg_loss
        return make_generator(PIXELS, STYLE, LAYERS, 0.01, WIDTHS), make_discriminator(PIXELS, WIDTHS)

    def link(self, generator, discriminator):
        self.link_generator(generator, "generator/synthesis")
        for index, layer in enumerate(tuple(generator.mapping)[1:]):
            self.put_layer(f"generator/mapping/dense_{index}", layer)
        self.style_mean = torch.zeros(STYLE, dtype=torch.float64)
        self.put("generator/average/style_mean", self.style_mean)
        self.link_discriminator(discriminator)

    def link_generator(self, generator, path):
        self.put(f"{path}/constant", generator.input.input, lambda value, like: value.transpose(2, 0, 1)[None])
        convs = {"conv_4": generator.convs[0]}
        for pixels, up, conv in zip((8, 16), generator.up_convs, generator.convs[1:]):
            convs |= {f"up_{pixels}": up, f"conv_{pixels}": conv}
        for name, layer in convs.items():
            self.put(f"{path}/{name}/kernel", layer.weight)
            self.put(f"{path}/{name}/bias", layer.leaky_relu.bias)
            self.put(f"{path}/{name}/noise_strength", layer.add_noise.weight)
        images = {f"to_rgb_{pixels}": layer for pixels, layer in zip(WIDTHS, generator.to_rgbs)}
        for name, layer in images.items():
            self.put_layer(f"{path}/{name}", layer)
        for name, layer in (convs | images).items():
            self.put_layer(f"{path}/{name}/affine", layer.affine)
        constants = rounds.flat(self.start.variables["generator"]["constants"])
        self.noises = [double(constants[f"synthesis/{name}/noise"])[None, None] for name in convs]

    def link_discriminator(self, network):
        first, *blocks = network.blocks
        layers = {"from_rgb": first, "conv_4": network.final_conv}
        for pixels, block in zip((16, 8), blocks):
            layers |= {f"block_{pixels}/conv": block.conv, f"block_{pixels}/down": tuple(block.down_conv)[1:]}
            self.put(f"discriminator/block_{pixels}/skip/kernel", block.skip[1].weight)
        for name, (conv, activation) in layers.items():
            self.put(f"discriminator/{name}/kernel", conv.weight)
            self.put(f"discriminator/{name}/bias", activation.bias)

        def from_pixels(value, like):
            return value.reshape(4, 4, WIDTHS[4], -1).transpose(3, 2, 0, 1).reshape(like.shape)

        self.put("discriminator/features/kernel", network.final_relu.weight, from_pixels)
        self.put("discriminator/features/bias", network.final_relu.bias)
        self.put_layer("discriminator/logit", network.final_linear)

    def mixed(self, given, mapped, synthesized, every=1):
        """Styles `[b,l,w]`, before and after mixing; which of the two a layer gets is taken from ours."""
        mapping = self.networks["generator"].mapping
        own, other = (mapping(double(given[f"{mapped}/mapping_{number}"]))[::every, None] for number in (1, 2))
        ours = double(given[f"{synthesized}/synthesis_1"])
        first = (ours - own).square().sum(2) < (ours - other).square().sum(2)
        assert first[:, 0].all()
        assert not first.all()
        return own[:, 0], torch.where(first[..., None], own, other)

    def synthesize(self, styles):
        return self.networks["generator"]([styles], input_type="w_plus", noises=self.noises)

    def draw(self, played):
        style, styles = self.mixed(played.given, "draw", "draw")
        self.style_mean.lerp_(style.detach().mean(0), 1 - STYLE_DECAY)
        return self.synthesize(styles)

    def turn(self, name, real, fake, played):
        player, judge = played.due[name], Judge(self.networks["discriminator"])
        optimizer = self.optimizers[player]
        if name == "discriminator":
            return torch_stylegan2.discriminator_turn(judge, optimizer, real, fake)
        if name == "generator":
            return torch_stylegan2.generator_turn(judge, optimizer, fake)
        judge.requires_grad_(True)
        optimizer.zero_grad(set_to_none=False)  # params that a penalty does not depend on have a gradient of zero
        penalty = self.r1(judge, real) if player == "discriminator" else self.path_length(played)
        loss = self.gains[player] * penalty
        loss.backward()
        optimizer.step()
        return loss.detach()

    def r1(self, judge, real):
        real = real.detach().requires_grad_()
        return self.gamma / 2 * self.d_reg_loss(judge(real), real)

    def path_length(self, played):
        path = "generator_path_length/mean"
        mean = self.memory.get(path, float(rounds.flat(self.start.carry)[path]))
        _, styles = self.mixed(played.given, "map", "synthesize", every=2)
        noise = channels_first(played.given["noise"]) / math.sqrt(PIXELS * PIXELS)
        (slope,) = torch.autograd.grad((self.synthesize(styles) * noise).sum(), styles, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        # a constant, as in eq. 4; the package, like the authors' code, passes a hundredth of the gradient through it
        mean += 0.01 * (float(lengths.detach().mean()) - mean)
        self.memory[path] = mean
        return 2.0 * (lengths - mean).square().mean()


class Judge:
    """The discriminator with reordered rows: the package groups every second row, ours four consecutive ones."""

    def __init__(self, network):
        self.network, self.order = network, torch.arange(ROWS).reshape(2, 4).T.flatten()

    def __call__(self, image):
        return self.network(image[self.order])

    def requires_grad_(self, wanted):
        self.network.requires_grad_(wanted)


@pytest.fixture(scope="module")
def played():
    """Rounds without, with and without the regularizations."""
    step = math.lcm(*EVERY.values()) - 2
    return rounds.play(CONFIG, rounds.random_batches(3, PIXELS, 1, rows=ROWS, seed=40), step=step)


def test_the_second_round_has_all_phases(played):
    assert [len(each.due) for each in played[1]] == [2, 4, 2]


def test_rounds_equal_the_packages(played):
    start, ours = played
    StyleGAN2(start).assert_equal(ours)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"gamma": 2 * GAMMA}, "loss"),
        ({"gains": {"discriminator": 16, "generator": 1}}, "gradient norm"),
        ({"gains": {"discriminator": 1, "generator": 4}}, "gradient norm"),
        ({"rates": dict.fromkeys(PLAYERS, rounds.RATE)}, "params"),
        ({"betas": dict.fromkeys(PLAYERS, rounds.BETAS)}, "squares"),
    ],
    ids=lambda each: each if isinstance(each, str) else "+".join(each),
)
def test_another_step_would_be_seen(wrong, kind, played):
    start, ours = played
    assert kind in StyleGAN2(start, **wrong).beyond_bounds(ours, times=10)
