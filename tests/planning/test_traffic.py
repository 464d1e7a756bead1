"""Bytes in main memory, from the text of a program as the TPU's compiler writes it."""

import jax
import jax.numpy as jnp
import pytest

from jaxgan.planning.collectives import find_collectives
from jaxgan.planning.hlo import count_turns, read_program
from jaxgan.planning.traffic import array_bytes, memory_traffic

TEXT = """HloModule jit_f

%fused_computation (p.1: f32[16,128]) -> f32[16,128] {
  %p.1 = f32[16,128]{1,0:T(8,128)} parameter(0)
  ROOT %t = f32[16,128]{1,0:T(8,128)} tanh(%p.1)
}

ENTRY %main (param: f32[16,128], param.1: f32[128,128]) -> (f32[16,128]) {
  %param = f32[16,128]{1,0:T(8,128)} parameter(0)
  %param.1 = f32[128,128]{1,0:T(8,128)} parameter(1)
  %copy-start = (f32[16,128]{1,0:T(8,128)S(1)}, f32[16,128]{1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%param)
  %copy-done = f32[16,128]{1,0:T(8,128)S(1)} copy-done(%copy-start)
  %inside = f32[16,128]{1,0:T(8,128)S(1)} fusion(%copy-done, %param.1), kind=kOutput, calls=%fused_computation
  %out = f32[16,128]{1,0:T(8,128)} fusion(%inside), kind=kLoop, calls=%fused_computation
  ROOT %tuple = (f32[16,128]{1,0:T(8,128)}) tuple(%out)
}
"""


LOOP = """HloModule jit_g

%sliced (p: f32[5,16,128], i: s32[]) -> f32[16,128] {
  %p = f32[5,16,128]{2,1,0:T(8,128)} parameter(0)
  %i = s32[]{:T(128)} parameter(1)
  %slice = f32[1,16,128]{2,1,0:T(8,128)} dynamic-slice(%p, %i), dynamic_slice_sizes={1,16,128}
  ROOT %flat = f32[16,128]{1,0:T(8,128)} bitcast(%slice)
}

%updated (q: f32[5,16,128], v: f32[16,128], j: s32[]) -> f32[5,16,128] {
  %q = f32[5,16,128]{2,1,0:T(8,128)} parameter(0)
  %v = f32[16,128]{1,0:T(8,128)} parameter(1)
  %j = s32[]{:T(128)} parameter(2)
  %row = f32[1,16,128]{2,1,0:T(8,128)} bitcast(%v)
  ROOT %whole = f32[5,16,128]{2,1,0:T(8,128)} dynamic-update-slice(%q, %row, %j)
}

%condition (c: (s32[], f32[5,16,128], f32[5,16,128])) -> pred[] {
  %n = s32[]{:T(128)} constant(5)
  %c = (s32[]{:T(128)}, f32[5,16,128]{2,1,0:T(8,128)}, f32[5,16,128]{2,1,0:T(8,128)}) parameter(0)
  %at = s32[]{:T(128)} get-tuple-element(%c), index=0
  ROOT %lt = pred[]{:T(512)} compare(%at, %n), direction=LT
}

%body (b: (s32[], f32[5,16,128], f32[5,16,128])) -> (s32[], f32[5,16,128], f32[5,16,128]) {
  %b = (s32[]{:T(128)}, f32[5,16,128]{2,1,0:T(8,128)}, f32[5,16,128]{2,1,0:T(8,128)}) parameter(0)
  %k = s32[]{:T(128)S(6)} get-tuple-element(%b), index=0
  %in = f32[5,16,128]{2,1,0:T(8,128)} get-tuple-element(%b), index=1
  %out = f32[5,16,128]{2,1,0:T(8,128)} get-tuple-element(%b), index=2
  %one = f32[16,128]{1,0:T(8,128)S(1)} fusion(%in, %k), kind=kLoop, calls=%sliced
  %sum = f32[16,128]{1,0:T(8,128)S(1)} all-reduce(%one), replica_groups={{0,1}}, to_apply=%add
  %new = f32[5,16,128]{2,1,0:T(8,128)} fusion(%out, %sum, %k), kind=kLoop, calls=%updated
  ROOT %next = (s32[]{:T(128)}, f32[5,16,128]{2,1,0:T(8,128)}, f32[5,16,128]{2,1,0:T(8,128)}) tuple(%k, %in, %new)
}

ENTRY %main (x: (s32[], f32[5,16,128], f32[5,16,128])) -> (s32[], f32[5,16,128], f32[5,16,128]) {
  %x = (s32[]{:T(128)}, f32[5,16,128]{2,1,0:T(8,128)}, f32[5,16,128]{2,1,0:T(8,128)}) parameter(0)
  ROOT %loop = (s32[]{:T(128)}, f32[5,16,128]{2,1,0:T(8,128)}, /*index=2*/f32[5,16,128]{2,1,0:T(8,128)}) while(%x), condition=%condition, body=%body
}
"""  # noqa: E501


def traffic(text):
    program = read_program(text)
    return memory_traffic(program, count_turns(program))


@pytest.mark.quick
def test_a_loop_reads_and_writes_a_part_in_each_turn():
    every_row_in_and_out = 2 * 5 * 4 * 16 * 128
    assert traffic(LOOP) == pytest.approx(every_row_in_and_out, rel=1e-3)  # and the counter


@pytest.mark.quick
def test_what_a_loop_sends_counts_in_each_turn():
    program = read_program(LOOP)
    (found,) = find_collectives(program, count_turns(program), 2)
    assert found.sent == 5 * 2 * 0.5 * 4 * 16 * 128


@pytest.mark.quick
def test_turns_are_noted_or_read_from_the_condition():
    assert count_turns(read_program(LOOP)).of["body"] == 5
    note = 'backend_config={"known_trip_count":{"n":"7"}}'
    noted = count_turns(read_program(LOOP.replace("body=%body", f"body=%body, {note}")))
    assert (noted.of["body"], noted.of["sliced"], noted.of["main"], noted.unknown) == (7, 7, 1, 0)
    strange = count_turns(read_program(LOOP.replace("direction=LT", "direction=NE")))
    assert (strange.of["body"], strange.loops, strange.unknown) == (1, 1, 1)


def test_turns_of_a_scan_in_a_scan_of_a_real_program():
    def f(x):
        return jax.lax.scan(lambda c, a: (jax.lax.scan(lambda d, b: (d @ b, None), c, a)[0], None), x[0, 0], x)[0]

    text = jax.jit(f).lower(jax.ShapeDtypeStruct((3, 4, 8, 8), jnp.float32)).compile().as_text()
    turns = count_turns(read_program(text))
    assert (turns.loops, turns.unknown, max(turns.of.values())) == (2, 0, 12)


@pytest.mark.quick
def test_what_stays_inside_the_chip_is_no_traffic():
    image, weights = 4 * 16 * 128, 4 * 128 * 128
    assert traffic(TEXT) == image + weights + image  # copied in, read, written


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("f32[16,3]{1,0:T(8,128)}", 4 * 16 * 128),  # padded
        ("f32[3,16]{0,1:T(8,128)}", 4 * 16 * 128),
        ("bf16[2,9,128]{2,1,0:T(8,128)(2,1)}", 2 * 2 * 16 * 128),
        ("f32[5]{0}", 20),
        ("f32[]", 4),
        ("pred[7]{0:T(256)S(1)}", 0),
    ],
)
def test_arrays_are_padded_to_their_tiles(text, size):
    assert array_bytes(text) == [size]
