# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's pieces of work, as the command line and the service both run them.

Everything heavy is imported when a job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from mvsam_engine.capture import Capture, MaskSet, Reconstruction, SceneObject, ViewMask
from mvsam_engine.errors import SegmentationError, UsageError
from mvsam_engine.memory import MemoryShortError, told_when_short
from mvsam_engine.progress import Progress
from mvsam_engine.protocol.smaller import WorkSetting, next_smaller

if TYPE_CHECKING:
    from mvsam_engine.photos import IntakeOptions
    from mvsam_engine.place.world import Placed, Wish
    from mvsam_engine.reconstruct import ReconstructOptions
    from mvsam_engine.reconstruct.forecast import Forecast
    from mvsam_engine.segment import Segmenter

# What `told_when_short` says of making masks; what they need grows with the number of photos.
SEGMENT_SHORT = (
    "masks of so many photos",
    "Close other programs, or make a capture with fewer of the photos.",
    "Choose the processor as the device.",
)


def reconstruct_photos(
    root: Path,
    sources: Sequence[Path],
    geometry: str,
    options: ReconstructOptions,
    progress: Progress,
    intake: IntakeOptions | None = None,
) -> tuple[Capture, Reconstruction]:
    """Bring photos into the capture at `root` and reconstruct it.

    What was complete before stays untouched until the new reconstruction is complete.

    Args:
        root: folder of the capture.
        sources: photos, videos, and folders of them.
        geometry: name of the reconstructor.
        options: of the reconstructor.
        progress: counts, and hears of what is left out.
        intake: masks, frames of videos, folders below; None for the usual.

    Raises:
        MvsamError: bad photos, no trustworthy reconstruction, or a folder that cannot be used.
        Cancelled: the person cancelled.
    """
    from mvsam_engine.photos import IntakeOptions, add_photos, find_masks, find_photos
    from mvsam_engine.reconstruct import reconstruct

    intake = intake or IntakeOptions()
    find_photos(sources, intake.recursive)  # refuses before a folder is made
    if intake.masks is not None:
        find_masks(intake.masks)
    capture = Capture.create(root)
    with capture.writing():
        if sources or (intake.masks is not None and capture.photos()):
            add_photos(capture, sources, progress, intake)
        if not capture.photos():
            raise UsageError(
                "photo.none", "The capture has no photos yet.", "Name photos or a folder of them."
            )
        expected = _forecast_of(capture, [], options)
        if not expected.fits:
            progress.warn("memory.short", expected.sentence(), expected.advice())
        with told_when_short(*_if_short(options)):
            reconstruction = reconstruct(capture, geometry, options, progress)
    return capture, reconstruction


def _if_short(options: ReconstructOptions) -> tuple[str, str, str]:
    """What `told_when_short` says of a reconstruction: what it was, what to do, also on a GPU."""
    setting = WorkSetting(options.preset, options.max_size or 0, options.device)
    smaller = next_smaller(setting)
    choose = f"choose {smaller.words}" if smaller else "use fewer photos"
    return (
        f"reconstructing with {setting.words}",
        f"Close other programs, or {choose}.",
        f"Choose the processor as the device, or {choose}.",
    )


def refuse_if_short(
    root: Path, sources: Sequence[Path], options: ReconstructOptions, recursive: bool = False
) -> None:
    """Refuse a reconstruction that memory will not suffice for, before anything is changed.

    Args:
        root: as for `forecast_photos`, like the others.
        sources: see there.
        options: see there.
        recursive: see there.

    Raises:
        MemoryShortError: the forecast says so, with the code ``memory.forecast``.
    """
    expected = forecast_photos(root, sources, options, recursive)
    if not expected.fits:
        raise MemoryShortError("memory.forecast", expected.sentence())


def forecast_photos(
    root: Path, sources: Sequence[Path], options: ReconstructOptions, recursive: bool = False
) -> Forecast:
    """How long `reconstruct_photos` will take and how much memory; nothing is changed.

    Args:
        root: folder of the capture, made or not; its photos count too.
        sources: photos, videos, and folders of them, as for `reconstruct_photos`.
        options: of the reconstructor.
        recursive: whether folders are searched below too.

    Raises:
        MvsamError: a source that does not exist, or a capture that cannot be read.
    """
    from mvsam_engine.photos import find_photos

    files = [source.path for source in find_photos(sources, recursive)]
    capture = Capture.open(root) if (root / "capture.json").is_file() else None
    return _forecast_of(capture, files, options)


def _forecast_of(
    capture: Capture | None, files: Sequence[Path], options: ReconstructOptions
) -> Forecast:
    from mvsam_engine.photos.sizes import photo_sizes
    from mvsam_engine.reconstruct.forecast import forecast, this_machine

    there = [(photo.width, photo.height) for photo in capture.photos()] if capture else []
    return forecast([*there, *photo_sizes(files)], options, this_machine())


def place_world(capture: Capture, wish: Wish, progress: Progress) -> Placed:
    """Turn, set down and scale the world of a capture as a person wishes.

    Raises:
        MvsamError: no reconstruction, or a wish that the points cannot fulfil.
        Cancelled: the person cancelled; the placement is the one from before.
    """
    from mvsam_engine.place.world import place

    with capture.writing():
        return place(capture, wish, progress)


def segment_object(
    capture: Capture,
    item: SceneObject,
    segmenter: Segmenter,
    progress: Progress,
    on_view: Callable[[ViewMask], None] | None = None,
) -> SceneObject:
    """Answer an object's prompts in every view and store masks and weights.

    Args:
        capture: with a reconstruction.
        item: the object with its prompts.
        segmenter: prepared or not; what it prepares stays in memory for the next call.
        progress: counts views.
        on_view: called with the first, single-view answers, when they lie in ``pending/``.

    Returns:
        The object as stored, with scores.

    Raises:
        MvsamError: a prompt that cannot be answered, or a failed write.
        Cancelled: the person cancelled; the stored answer is the one from before.
    """
    check_prompts(capture, item)
    with capture.writing():
        with told_when_short(*SEGMENT_SHORT):
            segmenter.prepare(capture, progress)

        def first_answer(mask: ViewMask) -> None:
            capture.put_pending(item.id, mask)
            if on_view is not None:
                on_view(mask)

        with told_when_short(*SEGMENT_SHORT):
            masks = segmenter.predict(item, progress, first_answer)
            images = _encode_masks(capture, masks, progress)
        with capture.transaction() as transaction:
            return capture.put_masks(item, masks, images, transaction)


def _encode_masks(capture: Capture, masks: MaskSet, progress: Progress) -> dict[str, bytes]:
    """View to the PNG of its mask at the photo's size; several at a time, zlib frees the lock."""
    import cv2

    from mvsam_engine.segment.masks import mask_image

    photos = {photo.view: photo for photo in capture.photos()}

    def encode(mask: ViewMask) -> tuple[str, bytes]:
        photo = photos[mask.view]
        image = mask_image(mask.logits, photo.width, photo.height)
        _, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        return mask.view, data.tobytes()

    progress.stage("Saving masks", len(masks.masks))
    images: dict[str, bytes] = {}
    with ThreadPoolExecutor() as pool:
        for view, data in pool.map(encode, masks.masks):
            images[view] = data
            progress.step()
    return images


def check_prompts(capture: Capture, item: SceneObject) -> None:
    """Refuse prompts that no segmenter could answer.

    Raises:
        SegmentationError: none includes anything, or one lies outside its photo or in a view that
            was not placed.
    """
    reconstruction = capture.require_reconstruction()
    if not any(prompt.include for prompt in item.prompts):
        raise SegmentationError(
            "prompt.none",
            f"Object {item.name!r} has no prompt that includes anything.",
            "Click on the object in one of the photos first.",
        )
    placed = {camera.view for camera in reconstruction.cameras}
    for prompt in item.prompts:
        photo = capture.photo(prompt.view)
        if prompt.view not in placed:
            raise SegmentationError(
                "prompt.unplaced",
                f"Photo {prompt.view!r} could not be placed, so a click in it reaches no other.",
                "Click in a photo that has a camera.",
            )
        for x, y in prompt.xy:
            if not (0 <= x <= photo.width and 0 <= y <= photo.height):
                raise SegmentationError(
                    "prompt.outside",
                    f"({x:g}, {y:g}) lies outside photo {prompt.view!r}, which is "
                    f"{photo.width} x {photo.height} pixels.",
                    "Positions are x right, y down, from the top-left corner.",
                )
