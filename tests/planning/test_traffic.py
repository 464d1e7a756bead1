"""Bytes in main memory, from the text of a program as the TPU's compiler writes it."""

import pytest

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


@pytest.mark.quick
def test_what_stays_inside_the_chip_is_no_traffic():
    image, weights = 4 * 16 * 128, 4 * 128 * 128
    assert memory_traffic(TEXT) == image + weights + image  # copied in, read, written


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
