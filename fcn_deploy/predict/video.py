"""The frames of a video file, decoded one after the other by FFmpeg's own threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..optional import require

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts"})

Load = Callable[[], NDArray[np.uint8]]


def frames(path: Path) -> Iterator[Load]:
    """Each frame of the first video stream as a function that converts it to uint8[H, W, 3] RGB, upright.

    Decoding goes on in this iterator, which knows the order; the conversion may be done in any thread.

    Raises:
        ImageError: missing, not a video, or damaged; frames before the damage have been given.
        MissingDependencyError: PyAV is not installed.
    """
    av = require("av")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError(f"{path} holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                yield partial(upright, frame)
    except (av.FFmpegError, OSError, ValueError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{path} is not a video, or damaged ({text})") from error


def count_frames(path: Path) -> int | None:
    """How many frames the file says it has; None where it does not say or cannot be read."""
    av = require("av")
    try:
        with av.open(str(path)) as container:
            return container.streams.video[0].frames or None
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None


def upright(frame: Any) -> NDArray[np.uint8]:
    """A frame of PyAV as uint8[H, W, 3] RGB, turned as its display matrix says."""
    turns = round(getattr(frame, "rotation", 0) / 90)  # counter-clockwise, in degrees
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
