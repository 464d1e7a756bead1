"""Random weights of a small BasicVSR++, in the names of PyTorch suites."""

import numpy as np

WIDTH, GROUPS, BLOCKS, PASSES = 8, 2, 1, ("backward_1", "forward_1", "backward_2", "forward_2")
COLOUR_MEAN, COLOUR_SPREAD = (np.array(x, np.float32) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def state_dict(suite="mmediting"):
    """Random weights, with motions of some pixels."""
    draw, tensors = np.random.default_rng(0), {}

    def conv(name, inputs, outputs, size=3, scale=1.0):
        spread = scale * np.sqrt(2 / (inputs * size**2))
        tensors[f"{name}.weight"] = draw.normal(0, spread, (outputs, inputs, size, size)).astype(np.float32)
        tensors[f"{name}.bias"] = draw.normal(0, 0.1, outputs).astype(np.float32)

    def blocks(name, inputs, count):
        conv(f"{name}.main.0", inputs, WIDTH)
        for index in range(count):
            for number in (1, 2):
                conv(f"{name}.main.2.{index}.conv{number}", WIDTH, WIDTH, scale=0.5)

    for level in range(6):
        widths = (8, 32, 64, 32, 16, 2)
        for index in range(5):
            place = f"{index}.conv" if suite == "mmediting" else f"{2 * index}"
            conv(f"spynet.basic_module.{level}.basic_module.{place}", widths[index], widths[index + 1], 7, 0.6)
    blocks("feat_extract", 3, 5)
    for number, name in enumerate(PASSES):
        blocks(f"backbone.{name}", (2 + number) * WIDTH, BLOCKS)
        tensors[f"deform_align.{name}.weight"] = draw.normal(0, 0.1, (WIDTH, 2 * WIDTH, 3, 3)).astype(np.float32)
        tensors[f"deform_align.{name}.bias"] = draw.normal(0, 0.1, WIDTH).astype(np.float32)
        for index, (inputs, outputs) in enumerate(
            [(3 * WIDTH + 4, WIDTH), *[(WIDTH, WIDTH)] * 2, (WIDTH, 27 * GROUPS)]
        ):
            conv(f"deform_align.{name}.conv_offset.{2 * index}", inputs, outputs, scale=0.3)
    blocks("reconstruction", 5 * WIDTH, 5)
    for name, outputs in (("upsample1.upsample_conv", 4), ("upsample2.upsample_conv", 4), ("conv_hr", 1)):
        conv(name, WIDTH, outputs * WIDTH)
    conv("conv_last", WIDTH, 3)
    tensors |= {"spynet.mean": COLOUR_MEAN, "spynet.std": COLOUR_SPREAD}
    return {f"generator.{name}": value for name, value in tensors.items()} | {"step_counter": np.zeros(1, np.float32)}
