"""The train step of configs/video_digits.py in eager torch: a finer image of DCGAN, shifted; three frames a clip.

Run by `benchmarks.steps` in its own environment:

    python benchmarks/peers/torch_video.py --case video

answers each line on stdin, `{"reps": n}`, with one of JSON: the times of n steps in milliseconds. `video_penalties` has
R1 and R2 in each step, `video` in none; the config has them in each eighth.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch_steps import make_dcgan  # beside this script

CLIPS, FRAMES, SEEN, SIZE = 32, 16, 3, 32
LATENT, WIDTH, WAVES, VECTOR, PERIOD = 64, 64, 2, 64, 40.0
UP, DOWN = (128, 64, 32, 16), (32, 64, 128)
GAMMA = 1.0


def leaky(x):
    """LeakyReLU with the gain that keeps the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Equalized(nn.Module):
    """A dense layer whose kernel is scaled when it is used."""

    def __init__(self, inputs, outputs, bias=0.0, gain=1.0):
        super().__init__()
        self.weight, self.gain = nn.Parameter(torch.randn(outputs, inputs)), gain * inputs**-0.5
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x):
        """The layer."""
        return F.linear(x, self.weight * self.gain, self.bias)


def covered(shift, fine, size=SIZE):
    """How much each pixel of a finer line covers of each of a line shifted by `[b,n]` pixels: `[b,n,size,fine]`."""
    ratio = fine / size
    start = (ratio * (torch.arange(size) - shift[..., None]))[..., None]
    first, last = torch.arange(fine).to(shift), torch.arange(1, fine + 1).to(shift)
    first[0], last[-1] = -math.inf, math.inf
    return F.relu(torch.minimum(start + ratio, last) - torch.maximum(start, first)) / ratio


class Generator(nn.Module):
    """Content `[b,z]`, noise of motion `[b,3 waves]` and times `[b,n]` to frames `[b n,1,h,w]`."""

    def __init__(self):
        super().__init__()
        self.speed = Equalized(WAVES, WAVES)
        self.content, self.place = Equalized(LATENT, WIDTH), Equalized(WIDTH, 4, gain=0.25)
        self.images, _ = make_dcgan(LATENT, 1, UP)

    def forward(self, latent, motion, time):
        """The frames."""
        sine, cosine, pace = motion.chunk(3, dim=-1)
        speed = 1 + torch.tanh(self.speed(pace))
        phase = torch.atan2(sine, cosine)[:, None] / (2 * math.pi) + speed[:, None] / PERIOD * time[..., None]
        codes = math.sqrt(3) * (1 - 4 * (phase % 1 - 0.5).abs())
        origin, reach = self.place(leaky(self.content(latent)))[:, None].chunk(2, dim=-1)
        shift = SIZE / 6 * (origin + (1 + reach) * codes)
        image = self.images(latent[..., None, None])
        down, right = (covered(shift[..., axis], image.shape[2]) for axis in (0, 1))
        return (down @ image @ right.mT).flatten(0, 1)[:, None]


class Meeting(nn.Module):
    """A modulated 3x3 convolution with bias and leaky ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.affine, self.gain = Equalized(VECTOR, inputs, bias=1.0), (9 * inputs) ** -0.5
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x, vector):
        """The convolution by kernels of unit norm for each clip."""
        scale, weight = self.affine(vector), self.weight * self.gain
        y = F.conv2d(x * scale[..., None, None], weight, padding=1)
        y = y * torch.rsqrt(scale.square() @ weight.square().sum((2, 3)).T + 1e-8)[..., None, None]
        return leaky(y + self.bias[:, None, None])


class Discriminator(nn.Module):
    """Frames `[b n,c,h,w]` of clips and times `[b,n]` to a logit a clip."""

    def __init__(self):
        super().__init__()
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip((1, *DOWN), DOWN))
        self.meetings = nn.ModuleList([Meeting(SEEN * DOWN[-1], DOWN[-1]), Meeting(DOWN[-1], DOWN[-1])])
        self.distances = nn.Sequential(Equalized((SEEN - 1) * 32, VECTOR), Equalized(VECTOR, VECTOR))
        self.logit, self.compared = nn.Linear(16 * DOWN[-1], 1), Equalized(16 * DOWN[-1], VECTOR)
        self.register_buffer("periods", torch.logspace(math.log2(2.0), math.log2(512.0), 16, 2.0))

    def forward(self, x, time):
        """The logits."""
        angles = 2 * math.pi * time.diff(dim=1)[..., None] / self.periods
        vector = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
        for layer in self.distances:
            vector = leaky(layer(vector))
        for down in self.downs:
            x = F.leaky_relu(down(x), 0.2)
        x = x.permute(0, 2, 3, 1).reshape(-1, SEEN, 4, 4, DOWN[-1]).permute(0, 2, 3, 1, 4)
        x = x.reshape(-1, 4, 4, SEEN * DOWN[-1]).permute(0, 3, 1, 2)
        for meeting in self.meetings:
            x = meeting(x, vector)
        features = x.permute(0, 2, 3, 1).flatten(1)
        return self.logit(features)[:, 0] + (self.compared(features) * vector).sum(1) / math.sqrt(VECTOR)


def penalty(discriminator, images, time):
    """R1 of real images, R2 of fakes: GAMMA / 2 times the squared gradient of the logits, the mean over clips."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images, time).sum(), images, create_graph=True)
    return GAMMA / 2 * gradient.square().sum() / CLIPS


def make_step(penalties):
    """A step of both networks on the same fakes; returns both losses as floats."""
    generator, discriminator = (net().to(memory_format=torch.channels_last) for net in (Generator, Discriminator))
    adam = {"lr": 2e-3, "betas": (0.0, 0.99)}
    of_generator, of_discriminator = (torch.optim.Adam(net.parameters(), **adam) for net in (generator, discriminator))
    clips = torch.rand(CLIPS, FRAMES, 1, SIZE, SIZE) * 2 - 1

    def step():
        time = torch.rand(CLIPS, FRAMES).argsort(dim=1)[:, :SEEN].sort(dim=1).values
        real = clips.take_along_dim(time[:, :, None, None, None], dim=1).flatten(0, 1)
        latent, motion = torch.randn(CLIPS, LATENT), torch.randn(CLIPS, 3 * WAVES)
        fake = generator(latent, motion, time + torch.rand(CLIPS, 1))
        discriminator.requires_grad_(True)
        of_discriminator.zero_grad(set_to_none=True)
        loss = F.softplus(discriminator(fake.detach(), time) - discriminator(real, time)).mean()
        whole = loss
        if penalties:
            whole = loss + penalty(discriminator, real, time) + penalty(discriminator, fake, time)
        whole.backward()
        of_discriminator.step()
        discriminator.requires_grad_(False)
        of_generator.zero_grad(set_to_none=True)
        with torch.no_grad():
            judged = discriminator(real, time)
        own = F.softplus(judged - discriminator(fake, time)).mean()
        own.backward()
        of_generator.step()
        return float(loss.detach()), float(own.detach())

    return step


if __name__ == "__main__":
    from serving import serve  # beside this script; the tests import what is above without it

    serve({"video": lambda: make_step(penalties=False), "video_penalties": lambda: make_step(penalties=True)})
