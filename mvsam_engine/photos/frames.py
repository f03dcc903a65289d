# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing the frames of a video into a capture."""

from __future__ import annotations

from pathlib import PurePosixPath

from mvsam_engine.capture import Photo
from mvsam_engine.errors import PhotoError
from mvsam_engine.photos.decode import MIN_SIDE
from mvsam_engine.photos.find import Source
from mvsam_engine.photos.intake import Intake
from mvsam_engine.photos.read import encode_jpeg
from mvsam_engine.photos.video import (
    VideoFrame,
    VideoInfo,
    every_for,
    inspect,
    sharpest_frames,
    window_count,
)


def add_video(intake: Intake, source: Source, every: int | None) -> None:
    """Add the sharpest frame of every window of a video, except where one is there already.

    Args:
        intake: where to.
        source: the video.
        every: frames in a window, None for about 80 windows.

    Raises:
        PhotoError: the video cannot be read, or no frame of it.
    """
    progress = intake.progress
    progress.stage(f"Reading {source.path.name}", 0)
    info = inspect(source.path, progress.check)
    every = every or every_for(info.frames)
    known = _known_windows(intake, info, every)
    if len(known) >= window_count(info.frames, every) > 0:
        return  # the same video with the same windows: nothing new to decode
    progress.stage(f"Frames of {source.path.name}", info.frames)
    taken, decoded = 0, 0

    def step() -> None:
        nonlocal decoded
        decoded += 1
        progress.step()

    for frame in sharpest_frames(source.path, every, known.__contains__, step):
        _put(intake, source, info, frame)
        taken += 1
    if not decoded:
        raise PhotoError(
            "video.empty",
            f"No frame of {source.name} could be read.",
            "Copy it again from the camera, or convert it to MP4.",
        )
    if decoded < info.frames - max(2, info.frames // 100):
        progress.warn(
            "video.damaged",
            f"{source.name} is damaged or cut short: {decoded} of {info.frames} frames could be "
            "read, and were used.",
            "Copy it again from the camera if it should be longer.",
        )
    progress.warn(
        "video.frames",
        f"{source.name}: {taken} of {decoded} frames were taken, the sharpest of every {every}.",
        "Another number can be given with `--every N`.",
    )


def _put(intake: Intake, source: Source, info: VideoInfo, frame: VideoFrame) -> None:
    """Add one frame, named after the video and the frame's number."""
    if min(frame.image.size) < MIN_SIDE:
        raise PhotoError(
            "photo.tiny",
            f"The frames of {source.name} are only {frame.image.width} x {frame.image.height} "
            "pixels.",
            f"Frames need at least {MIN_SIDE} pixels on each side.",
        )
    name = f"{source.path.stem}_{frame.number:06d}.jpg"
    photo = Photo(
        view=intake.unique_view(name),
        file="",
        width=frame.image.width,
        height=frame.image.height,
        size=info.size,
        sha256=info.frame_sha256(frame.number),
        original_name=str(PurePosixPath(source.name).with_name(name)),
        camera_model=info.camera_model,
    )
    intake.put(photo, encode_jpeg(frame.image), ".jpg")


def _known_windows(intake: Intake, info: VideoInfo, every: int) -> set[int]:
    """Windows of which the capture has a frame already."""
    if not any(photo.size == info.size for photo in intake.photos):
        return set()
    return {n // every for n in range(info.frames) if intake.holds(info.frame_sha256(n))}
