"""Decode the frames of a video file one after the other, with FFmpeg's own threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import ImageError, first_line
from fcn_deploy.system.files import os_error_line, require_plain
from fcn_deploy.system.optional import require

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts"})

# FFmpeg's readers by name, so that no playlist (concat, HLS) in a file of such a suffix has it read other files.
_FORMATS = "mov,avi,matroska,webm,mpeg,mpegts,mpegvideo,m4v"

Load = Callable[[], NDArray[np.uint8]]


def frames(path: Path) -> Iterator[Load]:
    """Yield each frame of the first video stream as a function that converts it to upright uint8[H, W, 3] RGB.

    Decoding goes on in this iterator, which knows the order; the conversion may be done in any thread.

    Raises:
        ImageError: missing, not a video, damaged or cut off; raised after the frames before that.
        MissingDependencyError: PyAV is not installed.
    """
    av = require("av")
    try:
        require_plain(path)
    except OSError as error:
        raise ImageError(os_error_line(error)) from error
    try:
        with _open(path) as container:
            if not container.streams.video:
                raise ImageError(f"{path} holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            reached = 0.0
            for frame in container.decode(stream):
                reached = max(reached, frame.time or 0.0)
                yield partial(upright, frame)
            _check_end(path, stream, reached)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ImageError(f"{path} is not a video, or damaged ({first_line(error)})") from error


def _open(path: Path) -> Any:
    """Open a plain file with PyAV; an absolute path, for FFmpeg takes "pipe:0.mp4" and the like for addresses."""
    return require("av").open(str(path.absolute()), options={"format_whitelist": _FORMATS})


def _check_end(path: Path, stream: Any, reached: float) -> None:
    """Raise ImageError if the last frame, at `reached` seconds, comes well before the end that the header states.

    Decoders take the end of a file for the end of the video. Lengths are rounded, and some streams end early.
    """
    stated = _seconds(stream)
    if stated - reached > max(1.0, 0.05 * stated):
        raise ImageError(f"{path} is cut off: it ends after {reached:.1f} of {stated:.1f} s; copy or download it again")


def _seconds(stream: Any) -> float:
    """Return where the stream should end, by its container or Matroska's tag; 0 if neither states it."""
    if stream.duration:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) if tag else 0.0


def count_frames(path: Path) -> int | None:
    """Return how many frames the file states; None if it does not, or cannot be read."""
    av = require("av")
    try:
        with _open(require_plain(path)) as container:
            return container.streams.video[0].frames or None
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None


def upright(frame: Any) -> NDArray[np.uint8]:
    """Return a frame of PyAV as uint8[H, W, 3] RGB, rotated as its display matrix says."""
    turns = round(getattr(frame, "rotation", 0) / 90)  # counter-clockwise, in degrees
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
