"""Video compression of clips, in memory: encodes and decodes them again."""

from __future__ import annotations

import av
import numpy as np

from jaxgan.media.films.encoding import REPEATABLE

EVEN = 2  # pixels along a side that share a chroma sample in 4:2:0


def compressed(clip: np.ndarray, quality: int) -> np.ndarray:
    """Encodes a clip uint8 `[t,h,w,1 or 3]` as H.264 in 4:2:0 and decodes it; the shape stays the same.

    `quality` is x264's CRF, 0 (nearly lossless) to 51; the first frame is a keyframe and the others are predicted, as
    in a film. Deterministic. Odd sides are padded by repeating the edge. Raises ValueError for other channels.
    """
    frames, height, width, channels = clip.shape
    if channels not in (1, 3):
        raise ValueError(f"expected 1 or 3 channels, got {channels}")
    clip = np.broadcast_to(clip, (frames, height, width, 3)) if channels == 1 else clip
    clip = np.pad(clip, ((0, 0), (0, height % EVEN), (0, width % EVEN), (0, 0)), mode="edge")
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.width, encoder.height, encoder.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
    encoder.framerate, encoder.thread_count, decoder.thread_count = 25, 1, 1
    encoder.options = {"crf": str(quality), "preset": "veryfast", **REPEATABLE}
    found = list[np.ndarray]()
    for number in range(frames + 1):
        frame = None
        if number < frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(clip[number]), format="rgb24")
            frame.pts = number
        for packet in encoder.encode(frame):
            found += [made.to_ndarray(format="rgb24") for made in decoder.decode(packet)]
    found += [made.to_ndarray(format="rgb24") for made in decoder.decode(None)]
    made = np.stack(found)[:, :height, :width]
    return made if channels == 3 else made.mean(axis=-1, keepdims=True).round().astype(np.uint8)
