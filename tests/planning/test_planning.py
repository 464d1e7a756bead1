"""Slices, the analysis of compiled programs, and predicted times; no TPU compiler is needed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.config.run import DataConfig, RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.parallel.mesh import make_mesh
from jaxgan.planning.chips import CHIPS, read_topologies
from jaxgan.planning.collectives import find_collectives
from jaxgan.planning.compiling import Compiled
from jaxgan.planning.hlo import count_turns, read_program
from jaxgan.planning.program import make_program
from jaxgan.planning.roofline import Load, mean_load, roofline

HLO = """
  %all-reduce.1 = f32[100,10]{1,0:T(8,128)} all-reduce(%p), channel_id=1, replica_groups={{0,1,2,3}}, to_apply=%add
  %ar = (f32[8]{0}, bf16[8]{0}) all-reduce-start(%a, %b), replica_groups=[2,4]<=[8], to_apply=%add
  %done = (f32[8]{0}, bf16[8]{0}) all-reduce-done(%ar)
  %ag = (f32[2]{0}, f32[8]{0}) all-gather-start(%c), replica_groups=[1,4]<=[4], dimensions={0}
  %rs = f32[2]{0} reduce-scatter(%d), replica_groups={{0,1,2,3}}, dimensions={0}
  %alone = f32[1000]{0} all-reduce(%e), replica_groups={{0},{1}}, to_apply=%add
  %tpu = (f32[2]{0:T(256)S(1)}, f32[2]{0:T(256)}) all-reduce(%f), replica_groups=mesh['a'=2,'b'=4] {'b'}, to_apply=%add
  %part = f32[4]{0} all-reduce(%f), replica_groups=mesh['a'=8] {'a':(1)2}, to_apply=%add
  %fusion = f32[4]{0} fusion(%all-reduce.1), kind=kLoop
"""


def collectives(text, chips):
    program = read_program(text)
    return list(find_collectives(program, count_turns(program), chips))


@pytest.mark.quick
def test_bytes_sent_follow_the_rings():
    sent = [(each.kind, each.sent) for each in collectives(HLO, 8)]
    assert sent == [
        ("all-reduce", 2 * 0.75 * 4000),
        ("all-reduce", 2 * 0.75 * (32 + 16)),
        ("all-gather", 0.75 * 32),
        ("reduce-scatter", 0.75 * 32),
        ("all-reduce", 2 * 0.75 * 16),
        ("all-reduce", 2 * 0.5 * 16),
    ]


@pytest.mark.quick
def test_a_group_not_named_is_of_all_chips():
    (found,) = collectives("%x = f32[4]{0} all-reduce(%p), to_apply=%add", 16)
    assert (found.group, found.size) == (16, 16)


@pytest.mark.quick
def test_topologies_are_read():
    small, large = read_topologies("v5e:16x16,v5e:2x2")
    assert (str(small), small.chips, str(large), large.chips) == ("v5e:2x2", 4, "v5e:16x16", 256)
    assert large.links == 2 * small.links  # rings
    assert all(chip.flops > 1e14 for chip in CHIPS.values())
    for wrong in ("v5e", "v9:2x2", "v5e:2x2x2", "v5e:0x2", "v5e:ax2"):
        with pytest.raises(UserError, match="--topology"):
            read_topologies(wrong)


PUBLISHED = {  # docs.cloud.google.com/tpu/docs/v5e, v6e and v5p, the tables of supported slices
    "v5e": "1x1 2x2 2x4 4x4 4x8 8x8 8x16 16x16",
    "v6e": "1x1 2x2 2x4 4x4 4x8 8x8 8x16 16x16",
    "v5p": "2x2x1 2x2x2 2x4x4 4x4x4 4x4x8 4x8x8 8x8x8 8x8x16 8x16x16 16x16x16 16x16x24",
}


@pytest.mark.quick
def test_slices_that_can_be_had_are_taken_and_no_others():
    for family, shapes in PUBLISHED.items():
        for shape in shapes.split():
            turned = "x".join(reversed(shape.split("x")))
            assert [str(each) for each in read_topologies(f"{family}:{shape}")] == [f"{family}:{shape}"]
            assert str(read_topologies(f" {family}:{turned}")[0]) == f"{family}:{turned}"
    wrong = [
        "v5e:3x3",
        "v5e:6x6",
        "v5e:1x2",
        "v5e:-1x4",
        "v5e:16x32",
        "v5e:2x8",
        "v5e:04x4",
        "v5e:\u0664x4",
        "v5e:",
        "v5e:2",
    ]
    wrong += ["v5e:" + "9" * 5000, "v6e:3x3", "v5p:1x1x1", "v5p:2x2x3", "v5p:4x4", "v5p:24x24x24", "v5p:6x6x6"]
    for each in wrong:
        with pytest.raises(UserError) as told:
            read_topologies(each)
        assert f"expected one of {PUBLISHED[each[:3]].split()[0]}, " in str(told.value)
        assert len(str(told.value)) < 400
    for each in ("v5e:4x4,", "", ",", "v4:2x2x1", ":2x2", "V5E:2x2"):
        with pytest.raises(UserError, match="expected one of v5e, v5p, v6e"):
            read_topologies(each)


def load(**changed):
    zeros = dict.fromkeys(Load._fields, 0.0)
    return Load(**{**zeros, **changed})


@pytest.mark.quick
def test_the_slowest_roof_bounds():
    (slice_,) = read_topologies("v5e:16x16")
    roof = roofline(load(flops=197e12, bytes=2 * 819e9, sent=0.5 * 200e9), slice_)
    assert roof == pytest.approx((1.0, 2.0, 0.5))
    assert roof.bound == "memory"
    assert roof.seconds == pytest.approx(2.0)
    assert roof.efficiency == pytest.approx(0.8)  # no communication is hidden


@pytest.mark.quick
def test_steps_are_averaged_by_their_shares_and_memory_is_the_largest():
    common = {"topology": "v5e:2x2", "batch_size": 8, "params": 1, "moments": 2, "rest": 3, "seconds": 0.0}
    usual = Compiled(
        **common, phases=(0,), share=0.5, model_flops=1, flops=4.0, accessed=8.0, sent=2.0,
        collectives={"all-reduce": 2}, unknown=0, temporaries=10, arguments=5,
    )  # fmt: skip
    dear = usual._replace(
        phases=(0, 1), share=0.25, model_flops=24, flops=8.0, accessed=16.0, unknown=1, temporaries=20
    )
    mean = mean_load([usual, dear])
    assert mean.flops == 0.75 * 4 + 0.25 * 24  # the compiler counts one iteration of loops
    assert (mean.bytes, mean.unknown) == (0.75 * 8 + 0.25 * 16, 1)
    assert (mean.sent, mean.collectives, mean.temporaries, mean.peak) == (2.0, 2.0, 20, 25)


def test_a_real_program_on_the_devices_at_hand():
    """The one all-reduce of a mean over split rows is found in XLA's own text, if there are several devices."""
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    split, whole = (NamedSharding(mesh, spec) for spec in (PartitionSpec("data"), PartitionSpec()))
    rows = jax.ShapeDtypeStruct((8 * mesh.size, 16), jnp.float32, sharding=split)
    compiled = jax.jit(lambda x: x.sum(0), out_shardings=whole).lower(rows).compile()
    found = collectives(compiled.as_text(), mesh.size)
    assert [each.size for each in found] == ([64] if mesh.size > 1 else [])


def test_the_program_is_the_train_step():
    config = RunConfig(
        networks={
            "generator": {"name": "dcgan.Generator", "widths": (8,)},
            "discriminator": {"name": "dcgan.Discriminator", "widths": (8,)},
        },
        task={
            "name": "generation.Generation",
            "adversary": {
                "loss": "adversarial.non_saturating",
                "penalties": ({"name": "gradient_penalty.r1", "gamma": 1.0, "every": 16},),
            },
            "latent_dim": 8,
        },
        optimizers={player: {"name": "adam", "learning_rate": 1e-3} for player in ("generator", "discriminator")},
        data=DataConfig("none", resolution=8, channels=1),
        batch_size=4 * len(jax.devices()),
        images=1000,
    )
    spec = DataSpec("none", "train", 1, picture_fields(8, 8, 1), "")
    program = make_program(config, spec, make_mesh({"data": -1}))
    assert sum(program.due_sets.values()) == pytest.approx(1.0)
    usual = max(program.due_sets, key=program.due_sets.get)
    assert program.due_sets[usual] == 15 / 16
    compiled = program.lower(usual).compile()
    # the state is donated
    memory = compiled.memory_analysis()
    assert memory.alias_size_in_bytes > 0.9 * sum(program.held().values())
    counted = program.flops(usual) / len(jax.devices())
    assert 0.5 * counted < compiled.cost_analysis()["flops"]
