"""BasicVSR++ and SPyNet against their definitions in torch, on shared random weights with the published names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from basicvsr_weights import BLOCKS, COLOUR_MEAN, COLOUR_SPREAD, GROUPS, PASSES, state_dict

from jaxgan.building.builder import build
from jaxgan.models.pretrained import published

MEAN, STD = (torch.from_numpy(each).view(1, 3, 1, 1) for each in (COLOUR_MEAN, COLOUR_SPREAD))


def warped(x, flow, padding):
    """Pixels of x `[n,c,h,w]` by a flow `[n,2,h,w]`, as grid_sample."""
    height, width = x.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack(
        [2 * (columns + flow[:, 0]) / max(width - 1, 1) - 1, 2 * (rows + flow[:, 1]) / max(height - 1, 1) - 1], dim=-1
    )
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=True)


class Reference:
    """The forward pass in torch's functions, after the paper and the layout of the names."""

    def __init__(self, tensors):
        self.tensors = {name.removeprefix("generator."): torch.from_numpy(x) for name, x in tensors.items()}

    def conv(self, x, name):
        weight = self.tensors[f"{name}.weight"]
        return F.conv2d(x, weight, self.tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def blocks(self, x, name, count):
        x = F.leaky_relu(self.conv(x, f"{name}.main.0"), 0.1)
        for index in range(count):
            y = F.relu(self.conv(x, f"{name}.main.2.{index}.conv1"))
            x = x + self.conv(y, f"{name}.main.2.{index}.conv2")
        return x

    def flow(self, ref, other):
        height, width = ref.shape[2:]
        up = [-(-side // 32) * 32 for side in (height, width)]
        pair = [F.interpolate(each, up, mode="bilinear", align_corners=False) for each in (ref, other)]
        pyramid = [[(each - MEAN) / STD for each in pair]]
        for _ in range(5):
            pyramid.append([F.avg_pool2d(each, 2, 2) for each in pyramid[-1]])
        flow = torch.zeros(len(ref), 2, up[0] // 32, up[1] // 32)
        for level, (first, second) in enumerate(pyramid[::-1]):
            if level:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            x = torch.cat([first, warped(second, flow, "border"), flow], dim=1)
            for index in range(5):
                x = self.conv(x, f"spynet.basic_module.{level}.basic_module.{index}.conv")
                x = F.relu(x) if index < 4 else x
            flow = flow + x
        flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
        return flow * torch.tensor([width / up[1], height / up[0]]).view(1, 2, 1, 1)

    def aligned(self, x, seen, flows, name):
        out = torch.cat([seen, *flows], dim=1)
        for index in range(4):
            out = self.conv(out, f"deform_align.{name}.conv_offset.{2 * index}")
            out = F.leaky_relu(out, 0.1) if index < 3 else out
        first, second, mask = torch.chunk(out, 3, dim=1)
        offset = 10 * torch.tanh(torch.cat([first, second], dim=1))
        halves = torch.chunk(offset, 2, dim=1)
        moved = [half + flow.flip(1).repeat(1, half.shape[1] // 2, 1, 1) for half, flow in zip(halves, flows)]
        offset, mask = torch.cat(moved, dim=1), torch.sigmoid(mask)
        weight, size, result = self.tensors[f"deform_align.{name}.weight"], x.shape[1] // GROUPS, 0
        for group in range(GROUPS):
            part = x[:, group * size : (group + 1) * size]
            for tap in range(9):
                place = group * 9 + tap
                down, right = offset[:, 2 * place] + tap // 3 - 1, offset[:, 2 * place + 1] + tap % 3 - 1
                value = warped(part, torch.stack([right, down], dim=1), "zeros") * mask[:, place : place + 1]
                kernel = weight[:, group * size : (group + 1) * size, tap // 3, tap % 3]
                result = result + torch.einsum("nchw,oc->nohw", value, kernel)
        return result + self.tensors[f"deform_align.{name}.bias"].view(1, -1, 1, 1)

    def __call__(self, clip):
        frames = [clip[index : index + 1] for index in range(len(clip))]
        kept = {"spatial": [self.blocks(frame, "feat_extract", 5) for frame in frames]}
        for name in PASSES:
            order = list(range(len(frames)))[:: -1 if name.startswith("backward") else 1]
            zero, made, flows = torch.zeros_like(kept["spatial"][0]), {}, {}
            x = zero
            for number, index in enumerate(order):
                if number:
                    flows[index] = flow = self.flow(frames[index], frames[order[number - 1]])
                    older, older_flow = zero, torch.zeros_like(flow)
                    if number > 1:
                        older = made[order[number - 2]]
                        older_flow = flow + warped(flows[order[number - 1]], flow, "zeros")
                    conditions = [warped(x, flow, "zeros"), kept["spatial"][index]]
                    conditions.append(warped(older, older_flow, "zeros") if number > 1 else zero)
                    seen = torch.cat(conditions, dim=1)
                    x = self.aligned(torch.cat([x, older], dim=1), seen, [flow, older_flow], name)
                others = [kept[other][index] for other in kept if other != "spatial"]
                x = x + self.blocks(torch.cat([kept["spatial"][index], *others, x], dim=1), f"backbone.{name}", BLOCKS)
                made[index] = x
            kept[name] = [made[index] for index in range(len(frames))]
        images = []
        for index, frame in enumerate(frames):
            x = self.blocks(torch.cat([each[index] for each in kept.values()], dim=1), "reconstruction", 5)
            for number in (1, 2):
                x = F.leaky_relu(F.pixel_shuffle(self.conv(x, f"upsample{number}.upsample_conv"), 2), 0.1)
            x = self.conv(F.leaky_relu(self.conv(x, "conv_hr"), 0.1), "conv_last")
            images.append(x + F.interpolate(frame, scale_factor=4, mode="bilinear", align_corners=False))
        return torch.cat(images)


@pytest.fixture(scope="module")
def clip():
    """Four smooth frames `[t,h,w,3]` in [0, 1] that move."""
    waves = np.sin(np.arange(60)[:, None] / 3 + np.arange(60) / 5)[..., None] * [1, 0.5, -0.7]
    return np.stack([waves[t : t + 20, 2 * t : 2 * t + 36] for t in range(4)]).astype(np.float32) / 4 + 0.5


def channels_first(x):
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def test_the_clip_equals_torchs(clip):
    tensors = state_dict()
    imported = published.from_torch(tensors)
    network = build(imported.section, "network")
    made = jax.jit(lambda params, x: network.apply({"params": params}, x, train=False))(
        jax.tree.map(jnp.asarray, imported.params), 2 * clip[None] - 1
    )
    expected = Reference(tensors)(channels_first(clip)).numpy().transpose(0, 2, 3, 1)
    assert np.abs(expected - expected.mean()).max() > 0.3
    np.testing.assert_allclose((np.asarray(made[0]) + 1) / 2, expected, atol=2e-3)


def test_the_flow_equals_torchs(clip):
    tensors = state_dict()
    imported = published.from_torch(tensors)
    network = build(imported.section["flow"], "network")
    params = jax.tree.map(jnp.asarray, imported.params["flow"])
    made = jax.jit(lambda x, y: network.apply({"params": params}, x, y))(2 * clip[1:] - 1, 2 * clip[:-1] - 1)
    expected = Reference(tensors).flow(channels_first(clip[1:]), channels_first(clip[:-1]))
    assert expected.abs().max() > 1
    np.testing.assert_allclose(made, expected.numpy().transpose(0, 2, 3, 1), atol=1e-3)
