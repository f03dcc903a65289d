# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a video as photos: the sharpest of every window of frames, one window at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from PIL import Image

from mvsam_engine.errors import PhotoError
from mvsam_engine.photos.exif import printable

# How many frames a video should give when nobody says: enough overlap for a walk around an
# object, few enough to be matched in minutes.
WANTED_FRAMES = 80
# Sharpness is compared at this long side: noise is averaged away, shake of a few pixels is not.
_SHARPNESS_SIZE = 640
_BLOCK = 1 << 22
# Only these demuxers: others (playlists) open files and addresses that the video names.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known before decoding.

    Attributes:
        sha256: of the file, hexadecimal.
        size: of the file, bytes.
        frames: how many the file states or holds, 0 when that cannot be told.
        camera_model: maker and model from the file's metadata, "" when unknown.
    """

    sha256: str
    size: int
    frames: int
    camera_model: str

    def frame_sha256(self, number: int) -> str:
        """Identity of a frame: of the file's hash and the frame's number."""
        return hashlib.sha256(f"{self.sha256}:{number}".encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A chosen frame: its number from 0 in the order of display, upright RGB, square pixels."""

    number: int
    image: Image.Image


def every_for(frames: int) -> int:
    """Window that gives about `WANTED_FRAMES` of a video with `frames` frames."""
    return max(1, round(frames / WANTED_FRAMES))


def window_count(frames: int, every: int) -> int:
    """How many windows of `every` frames give a frame; a last one of less than half does not."""
    whole, rest = divmod(frames, every)
    return whole + int(rest > 0 and (2 * rest >= every or whole == 0))


def inspect(path: Path, check: Callable[[], None] = lambda: None) -> VideoInfo:
    """Hash a video and count its frames without decoding them.

    Args:
        path: of the video.
        check: called often; may raise to stop.

    Raises:
        PhotoError: not a video that can be read, in a sentence.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                check()
    except OSError as error:
        text = f"{path.name} cannot be opened: {error.strerror or error}."
        raise PhotoError("video.unreadable", text) from error
    with _opened(path) as (container, stream):
        frames = stream.frames or _count_packets(container, stream, check)
        model = _model({**container.metadata, **stream.metadata})
    return VideoInfo(digest.hexdigest(), size, frames, model)


def sharpest_frames(
    path: Path, every: int, skip: Callable[[int], bool], step: Callable[[], None]
) -> Iterator[VideoFrame]:
    """The sharpest frame of every window of `every` frames, decoded as they are asked for.

    Holds one frame at a time. Broken parts are passed over; frames count as they come out of the
    decoder, whatever their time stamps say.

    Args:
        path: of the video.
        every: frames in a window, at least 1 (`window_count`).
        skip: whether nothing is wanted of the window with this index.
        step: called after every decoded frame; may raise to stop.

    Raises:
        PhotoError: not a video that can be read.
    """
    best: tuple[float, int, Any] | None = None
    number = -1
    with _opened(path) as (container, stream):
        aspect = float(stream.sample_aspect_ratio or 1)
        for number, frame in enumerate(_frames(container, stream)):
            if not skip(number // every):
                sharpness = _sharpness(frame) if every > 1 else 0.0
                if best is None or sharpness > best[0]:
                    best = (sharpness, number, frame)
            step()
            if (number + 1) % every == 0 and best is not None:
                yield VideoFrame(best[1], _upright(best[2], aspect))
                best = None
        if best is not None and number // every < window_count(number + 1, every):
            yield VideoFrame(best[1], _upright(best[2], aspect))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream, decoded by several threads."""
    try:
        # Through a file of ours: FFmpeg would read a strange name as a pattern or an address.
        with (
            path.open("rb") as file,
            av.open(file, options={"format_whitelist": _FORMATS}) as container,
        ):
            if not container.streams.video:
                raise PhotoError(
                    "video.none",
                    f"{path.name} holds no pictures, or has lost its end.",
                    "Copy it again from the camera, or choose another file.",
                )
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError(
            "video.unreadable",
            f"{path.name} is not a video that can be read: {reason}.",
            "Copy it again from the camera, or convert it to MP4.",
        ) from error


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets up to the first place where the container is cut or broken."""
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.error.FFmpegError):
            return


def _count_packets(container: Any, stream: Any, check: Callable[[], None]) -> int:
    count = 0
    for packet in _packets(container, stream):
        count += bool(packet.size)
        check()
    return count


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Every frame that can be decoded, in the order of display."""
    for packet in _packets(container, stream):
        if packet.size:
            yield from _decoded(stream, packet)
    yield from _decoded(stream, None)  # what the decoder has kept back


def _decoded(stream: Any, packet: Any) -> list[Any]:
    try:
        return [frame for frame in stream.decode(packet) if not frame.is_corrupt]
    except (av.error.FFmpegError, EOFError):
        return []  # a broken part: the next key frame begins anew


def _sharpness(frame: Any) -> float:
    """Variance of the Laplacian of the shrunk grey frame (Pech-Pacheco et al. 2000)."""
    scale = min(1.0, _SHARPNESS_SIZE / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale)) for side in (frame.width, frame.height))
    gray = frame.reformat(width, height, "gray", interpolation="AREA").to_ndarray()
    return float(cv2.Laplacian(gray, cv2.CV_32F).var())


def _upright(frame: Any, aspect: float) -> Image.Image:
    """RGB with square pixels (`aspect` is their width to height), turned as the video says."""
    image = Image.fromarray(np.ascontiguousarray(frame.to_ndarray(format="rgb24")))
    if 0.1 < aspect < 10.0 and aspect != 1.0:
        image = image.resize((round(image.width * aspect), image.height), Image.Resampling.BICUBIC)
    turn = _TURNS.get(round(frame.rotation) % 360)
    return image if turn is None else image.transpose(turn)


def _model(metadata: dict[str, str]) -> str:
    """Maker and model, as Apple's and Android's cameras write them."""
    words = {key.lower().rsplit(".", 1)[-1]: value for key, value in metadata.items()}
    return printable(f"{words.get('make', '')} {words.get('model', '')}")
