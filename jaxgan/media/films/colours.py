"""The colours of films: which matrix and range their numbers are meant in (ITU-T H.273)."""

from __future__ import annotations

from typing import NamedTuple

RGB, BT709, UNTOLD, BT601, SMPTE170M, BT2020 = 0, 1, 2, 5, 6, 9  # matrices
WIDE = 9  # the primaries of BT.2020
LIMITED, FULL = 1, 2  # ranges
PQ, HLG = 16, 18  # transfer characteristics of HDR
HIGH_DEFINITION = 720  # lines from which on a film that tells nothing is of BT.709
SWSCALE = {BT709: 1, 4: 4, BT601: 5, SMPTE170M: 5, 7: 7, BT2020: 9}  # FFmpeg's numbers for converting


class Colours(NamedTuple):
    """What the numbers of a film mean, in the numbers of ITU-T H.273."""

    matrix: int = UNTOLD
    range: int = 0  # 0: not told
    primaries: int = UNTOLD
    transfer: int = UNTOLD

    def settled(self, lines: int, *, rgb: bool = False) -> Colours:
        """With a matrix and a range that can be converted: those that are told, else what players assume.

        `lines`: the film's height; `rgb`: its frames have no matrix, and the usual one is for what is made of them.
        """
        usual = BT709 if lines >= HIGH_DEFINITION or rgb else SMPTE170M
        if self.primaries == WIDE and self.matrix == UNTOLD:
            usual = BT2020
        matrix = self.matrix if self.matrix in SWSCALE else usual
        return self._replace(matrix=matrix, range=LIMITED if rgb or self.range not in (LIMITED, FULL) else self.range)

    @property
    def foreign(self) -> bool:
        """Whether a matrix is told that cannot be converted."""
        return self.matrix not in SWSCALE and self.matrix not in (RGB, UNTOLD)

    @property
    def conversion(self) -> int:
        """FFmpeg's number of the matrix. The colours must be settled."""
        return SWSCALE[self.matrix]

    @property
    def high_dynamic_range(self) -> bool:
        """Whether the film is of PQ or HLG."""
        return self.transfer in (PQ, HLG)
