"""Dense optical flow between grey frames, warping, and the visibility of pixels.

The flow is that of Farneback 2003 ("Two-frame motion estimation based on polynomial expansion"), as computed by OpenCV
with the settings of TecoGAN's scores (Chu et al. 2020): a pyramid, three rounds per level, windows of 15 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Real, UInt8
from scipy.ndimage import correlate1d, uniform_filter1d

LEVELS, SMALLEST = 3, 32  # maximum number of halvings, and smallest shorter side in pixels
ROUNDS, WINDOW = 3, 15  # rounds per level; side of the window in pixels, of equal weight
RADIUS, SIGMA = 5, 1.2  # pixels: neighbourhood to which a polynomial is fitted
LEAST = 1e-3  # added to a determinant, so that flat regions have no motion
EDGE = np.array([0.14, 0.14, 0.4472, 0.4472, 0.4472], np.float32)  # weights of the outermost pixels
GREY, GREY_BITS = np.array([4899, 9617, 1868]), 14  # BT.601's luma in whole numbers
BLUR = np.array([0.25, 0.5, 0.25])  # at full resolution
RELATIVE, ABSOLUTE = (
    0.01,
    0.5,
)  # allowed squared forward-backward error: share of the squared length, and squared pixels

Flow = Float32[np.ndarray, "n h w 2"]  # pixels to the right, and down


def grey(frames: UInt8[np.ndarray, "*n c"]) -> UInt8[np.ndarray, "*n"]:
    """BT.601's luma of RGB, rounded; frames of one channel are unchanged. Raises ValueError for other channels."""
    if frames.shape[-1] == 1:
        return frames[..., 0]
    if frames.shape[-1] != 3:
        raise ValueError(f"got {frames.shape[-1]} channels, expected 1 or 3")
    return ((frames @ GREY + (1 << GREY_BITS - 1)) >> GREY_BITS).astype(np.uint8)


def flows(frames: Real[np.ndarray, "t h w"]) -> Float32[np.ndarray, "t-1 h w 2"]:
    """The flow from each grey frame of a clip, in levels of 255, to the next.

    Raises ValueError for a clip of one frame.
    """
    if len(frames) < 2:
        raise ValueError(f"got {len(frames)} frames, expected 2 or more")
    expanded = (list(_pyramid(frame.astype(np.float32))) for frame in frames)
    before, found = next(expanded), []
    for after in expanded:
        found.append(_flow(before, after))
        before = after
    return np.moveaxis(np.stack(found), 1, -1)


def warp(images: Real[np.ndarray, "n h w c"], flow: Flow) -> Float32[np.ndarray, "n h w c"]:
    """Sample the images bilinearly at the positions that the flow points to, clamped to the edges."""
    planes = (np.moveaxis(image.astype(np.float32), -1, 0) for image in images)
    return np.stack([np.moveaxis(_sampled(*pair), 0, -1) for pair in zip(planes, np.moveaxis(flow, -1, 1))])


def seen(flow: Flow, back: Flow) -> Bool[np.ndarray, "n h w"]:
    """The pixels of the first frame that are visible in the second: those with consistent forward and backward flow.

    They satisfy |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5, where b is the backward flow at the position that f points to,
    which must be inside the frame (Sundaram et al. 2010, eq. 5; Lai et al. 2018 with these constants).
    """
    masks = []
    for there, backward in zip(np.moveaxis(flow, -1, 1), np.moveaxis(back, -1, 1)):
        again, (x, y), (height, width) = _sampled(backward, there), _places(there), there.shape[1:]
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        error = np.square(there + again).sum(axis=0)
        masks.append(inside & (error <= RELATIVE * (np.square(there) + np.square(again)).sum(axis=0) + ABSOLUTE))
    return np.stack(masks)


def _pyramid(frame: np.ndarray) -> Iterator[np.ndarray]:
    """The polynomials of a frame `[h,w]` from coarse to fine."""
    shorter = min(frame.shape)
    levels = max(level for level in range(LEVELS + 1) if level == 0 or shorter / 2**level >= SMALLEST)
    for level in reversed(range(levels + 1)):
        weights = BLUR if level == 0 else _gaussian((2**level - 1) / 2)
        smooth = correlate1d(correlate1d(frame, weights, axis=1, mode="mirror"), weights, axis=0, mode="mirror")
        height, width = (round(length / 2**level) for length in frame.shape)
        yield _expansion(_resized(smooth, height, width) if level else smooth)


def _gaussian(sigma: float) -> np.ndarray:
    """Gaussian weights of an odd number of pixels, five standard deviations wide."""
    places = np.arange(max(3, round(5 * sigma) | 1))
    weights = np.exp(-np.square(places - places.mean()) / (2 * sigma**2))
    return weights / weights.sum()


def _resized(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize planes `[...,h,w]` bilinearly; at half the size each pixel is the mean of four."""
    for axis, size in ((-2, height), (-1, width)):
        length = planes.shape[axis]
        places = np.clip((np.arange(size) + 0.5) * (length / size) - 0.5, 0, length - 1)
        lower = np.minimum(places.astype(np.int64), max(0, length - 2))
        share = (places - lower).astype(np.float32).reshape((-1, 1) if axis == -2 else (-1,))
        low, high = planes.take(lower, axis), planes.take(np.minimum(lower + 1, length - 1), axis)
        planes = low + share * (high - low)
    return planes


def _expansion(frame: np.ndarray) -> np.ndarray:
    """Coefficients `[5,h,w]` of y, x, y^2, x^2 and xy around each pixel, fitted by weighted least squares."""
    places = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-np.square(places) / (2 * SIGMA**2))
    weights /= weights.sum()
    second, fourth = (weights @ places.astype(float) ** power for power in (2, 4))
    moments = [weights, weights * places, weights * places**2]
    rows = [correlate1d(frame, moment, axis=0, mode="nearest") for moment in moments]

    def across(row: int, column: int) -> np.ndarray:
        return correlate1d(rows[row], moments[column], axis=1, mode="nearest")

    # the inverse of the matrix of the moments of 1, y, x, y^2, x^2 and xy, of which most are 0
    inverse = np.linalg.inv([[1, second, second], [second, fourth, second**2], [second, second**2, fourth]])
    mean = inverse[0, 1] * across(0, 0)
    square = [mean + inverse[1, 1] * across(*order) for order in ((2, 0), (0, 2))]
    return np.stack([across(1, 0) / second, across(0, 1) / second, *square, across(1, 1) / second**2])


def _flow(first: list[np.ndarray], second: list[np.ndarray]) -> np.ndarray:
    """The flow `[2,h,w]`, right and down, from the polynomials of two frames by level."""
    flow = np.zeros((2, *first[0].shape[1:]), np.float32)
    for before, after in zip(first, second):
        size = before.shape[1:]
        if flow.shape[1:] != size:
            flow = 2 * _resized(flow, *size)
        edges = _edges(*size)
        for _ in range(ROUNDS):
            flow = _refined(before, after, flow, edges)
    return flow


def _refined(before: np.ndarray, after: np.ndarray, flow: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """One round: refit the flow `[2,h,w]` over windows, with the polynomials at the positions it points to."""
    there, (x, y), (height, width) = _sampled(after, flow), _places(flow), flow.shape[1:]
    inside = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)  # as in OpenCV
    there[:2] *= inside
    np.copyto(there[2:], before[2:], where=~inside)
    down, right, mixed = (before[2:] + there[2:]) / 2 * edges
    mixed /= 2
    change_down, change_right = (before[:2] - there[:2]) / 2 * edges
    change_down += down * flow[1] + mixed * flow[0]
    change_right += mixed * flow[1] + right * flow[0]
    products = [
        down * down + mixed * mixed,
        (down + right) * mixed,
        right * right + mixed * mixed,
        down * change_down + mixed * change_right,
        mixed * change_down + right * change_right,
    ]
    sums = np.array(products, np.float64)
    a, b, c, p, q = uniform_filter1d(uniform_filter1d(sums, WINDOW, axis=1, mode="nearest"), WINDOW, mode="nearest")
    return (np.stack([a * q - b * p, c * p - b * q]) / (a * c - b * b + LEAST)).astype(np.float32)


def _edges(height: int, width: int) -> np.ndarray:
    """Weights `[h,w]` that are lower near the edges."""
    sides = []
    for length in (height, width):
        weights = np.ones(length, np.float32)
        count = min(len(EDGE), length)
        weights[:count] *= EDGE[:count]
        weights[length - count :] *= EDGE[:count][::-1]
        sides.append(weights)
    return sides[0][:, None] * sides[1]


def _places(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows `[h,w]` that a flow `[2,h,w]` points to."""
    height, width = flow.shape[1:]
    return np.arange(width) + flow[0], np.arange(height)[:, None] + flow[1]


def _sampled(planes: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Sample planes `[k,h,w]` bilinearly at the positions that a flow `[2,h,w]` points to, clamped to the edges."""
    height, width = planes.shape[1:]
    x, y = (np.clip(each, 0, side - 1) for each, side in zip(_places(flow), (width, height)))
    left, top = (np.minimum(each.astype(np.int64), max(0, side - 2)) for each, side in ((x, width), (y, height)))
    right, below = (x - left).astype(np.float32), (y - top).astype(np.float32)
    flat, corner = planes.reshape(len(planes), -1), top * width + left
    step, row = int(width > 1), width * int(height > 1)
    upper, lower = flat.take(corner, 1), flat.take(corner + row, 1)
    upper += (flat.take(corner + step, 1) - upper) * right
    lower += (flat.take(corner + row + step, 1) - lower) * right
    upper += (lower - upper) * below
    return upper
