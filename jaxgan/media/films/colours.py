"""The colour spaces of films: matrix, range, primaries and transfer (ITU-T H.273)."""

from __future__ import annotations

from typing import NamedTuple

RGB, BT709, UNTOLD, BT601, SMPTE170M, BT2020 = 0, 1, 2, 5, 6, 9  # matrices
WIDE = 9  # the primaries of BT.2020
LIMITED, FULL = 1, 2  # ranges
PQ, HLG = 16, 18  # transfer characteristics of HDR
HIGH_DEFINITION = 720  # lines from which on an untagged film is read as BT.709
SWSCALE = {BT709: 1, 4: 4, BT601: 5, SMPTE170M: 5, 7: 7, BT2020: 9}  # swscale's numbers of the matrices


class Colours(NamedTuple):
    """The colour space of a film, in the code points of ITU-T H.273."""

    matrix: int = UNTOLD
    range: int = 0  # 0: not tagged
    primaries: int = UNTOLD
    transfer: int = UNTOLD

    def settled(self, lines: int, *, rgb: bool = False) -> Colours:
        """The same with a matrix and a range that can be converted: the tagged ones, else those that players assume.

        `lines`: the film's height; `rgb`: its frames have no matrix, so the usual one is used for the output.
        """
        usual = BT709 if lines >= HIGH_DEFINITION or rgb else SMPTE170M
        if self.primaries == WIDE and self.matrix == UNTOLD:
            usual = BT2020
        matrix = self.matrix if self.matrix in SWSCALE else usual
        return self._replace(matrix=matrix, range=LIMITED if rgb or self.range not in (LIMITED, FULL) else self.range)

    @property
    def foreign(self) -> bool:
        """Whether the tagged matrix cannot be converted."""
        return self.matrix not in SWSCALE and self.matrix not in (RGB, UNTOLD)

    @property
    def conversion(self) -> int:
        """Swscale's number of the matrix. The colours must be settled."""
        return SWSCALE[self.matrix]

    @property
    def high_dynamic_range(self) -> bool:
        """Whether the transfer is PQ or HLG."""
        return self.transfer in (PQ, HLG)
