"""HDR mastering metadata of films: the display (SMPTE ST 2086) and the content light level (CTA-861.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # films are optional, and av with them
    import av

DISPLAY = struct.Struct("<20i2i")  # FFmpeg's AVMasteringDisplayMetadata: fractions, and flags for which are set
LIGHT = struct.Struct("<2I")  # AVContentLightMetadata


class Display(NamedTuple):
    """The display that a film was mastered on; chromaticities are (x, y)."""

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    darkest: Fraction  # cd/m2
    brightest: Fraction


class Mastering(NamedTuple):
    """The metadata by which players map the tones of a film."""

    display: Display | None = None
    brightest_pixel: int = 0  # MaxCLL, cd/m2; 0: not known
    brightest_frame: int = 0  # MaxFALL

    def for_x265(self) -> str:
        """The metadata as x265's parameters, in units of 0.00002 and 0.0001 cd/m2."""
        parts = [f"max-cll={self.brightest_pixel},{self.brightest_frame}"] if self.brightest_pixel else []
        if self.display is not None:
            shown = self._display(lambda share: f"{round(share * 50000)}", lambda light: f"{round(light * 10000)}")
            parts.append(f"master-display={shown}")
        return ":".join(parts)

    def for_svt(self) -> str:
        """The metadata as SVT-AV1's parameters."""
        parts = [f"content-light={self.brightest_pixel},{self.brightest_frame}"] if self.brightest_pixel else []
        if self.display is not None:
            shown = self._display(lambda share: f"{float(share):.6f}", lambda light: f"{float(light):.6f}")
            parts.append(f"mastering-display={shown}")
        return ":".join(parts)

    def _display(self, share: Callable[[Fraction], str], light: Callable[[Fraction], str]) -> str:
        display = self.display
        assert display is not None
        points = (("G", display.green), ("B", display.blue), ("R", display.red), ("WP", display.white))
        chromaticities = "".join(f"{name}({share(x)},{share(y)})" for name, (x, y) in points)
        return f"{chromaticities}L({light(display.brightest)},{light(display.darkest)})"


def mastering_of(frame: av.VideoFrame) -> Mastering | None:
    """The mastering metadata of a decoded frame; None if there is none."""
    from av.sidedata.sidedata import Type

    display, light = frame.side_data.get(Type.MASTERING_DISPLAY_METADATA), frame.side_data.get(Type.CONTENT_LIGHT_LEVEL)
    shown = _display(bytes(display)) if display is not None else None
    pixel, average = LIGHT.unpack(bytes(light)[: LIGHT.size]) if light is not None else (0, 0)
    return Mastering(shown, pixel, average) if shown is not None or pixel else None


def _display(content: bytes) -> Display | None:
    *numbers, has_points, has_luminance = DISPLAY.unpack(content[: DISPLAY.size])
    if not (has_points and has_luminance and all(numbers[1::2])):
        return None
    values = [Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    red, green, blue, white = zip(values[:8:2], values[1:8:2], strict=True)
    return Display(red, green, blue, white, darkest=values[8], brightest=values[9])
