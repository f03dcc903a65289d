# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture folder: everything needed to reopen the work on another machine.

Layout (docs/capture-format.md):
    capture.json                      schema, photos
    photos/<file>                     upright copies
    photo_masks/<view>.png            8-bit, 255 = used, 0 = ignored, size of the photo; or absent
    cameras.json                      cameras of the placed views
    pointmaps/<view>.npy              [h, w, 3] float32, world frame, NaN unknown
    confidence/<view>.npy             [h, w] float16, 0..1
    colors/<view>.npy                 [h, w, 3] uint8
    features/<encoder>/<view>.npy     cache, may be deleted at any time
    objects/<id>/object.json          name, colour, prompts, revision, scores
    objects/<id>/masks/<view>.png     8-bit, 255 = object, size of the photo
    objects/<id>/weights/<view>.npy   [h, w] float16 logits, > 0 is object
    objects/<id>/fused/<view>.npy     [h, w] float16, 0..1, on the pointmap's grid
    objects/<id>/pending/<view>.npy   first single-view answer, until the complete one is there
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import schema
from mvsam_engine.capture.files import (
    Transaction,
    array_bytes,
    inside,
    is_safe_name,
    json_bytes,
    read_array,
    read_json,
    recover,
    safe_name,
    write_atomic,
    writer_lock,
)
from mvsam_engine.capture.model import (
    MaskSet,
    Photo,
    Placement,
    Pointmap,
    Reconstruction,
    SceneObject,
    ViewMask,
)
from mvsam_engine.errors import CaptureError
from mvsam_engine.fields import Fields


class Capture:
    """One capture folder. Reading never changes it; writing happens inside `writing()`.

    Use `Capture.open` for an existing folder, `Capture.create` to make one where none is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path) -> Capture:
        """Open an existing capture.

        Raises:
            CaptureError: not a capture, damaged, or written by a newer program.
        """
        if not (root / "capture.json").is_file():
            raise CaptureError(
                "capture.missing",
                f"{root} is not a capture: it has no capture.json.",
                "Make one with `mvsam reconstruct PHOTOS --capture DIR`.",
            )
        capture = cls(root)
        capture.photos()
        return capture

    @classmethod
    def create(cls, root: Path) -> Capture:
        """Open the capture at `root`, or make an empty one.

        Raises:
            CaptureError: `root` is a file, a folder with other things in it, or not writable.
        """
        if (root / "capture.json").is_file():
            return cls.open(root)
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise CaptureError(
                "capture.occupied",
                f"{root} is not empty and not a capture.",
                "Name a folder that does not exist yet; it will be made.",
            )
        write_atomic(root / "capture.json", json_bytes({"schema": schema.SCHEMA, "photos": []}))
        return cls(root)

    # --- reading -------------------------------------------------------------------------------

    def photos(self) -> tuple[Photo, ...]:
        """All photos, in the order they were added."""
        fields = Fields(read_json(self.root / "capture.json"), "capture.json", CaptureError)
        schema.check_schema(fields, "capture.json")
        return schema.photos_from_json(fields)

    def photo(self, view: str) -> Photo:
        """The photo of `view`.

        Raises:
            CaptureError: there is no such view; the message names some that exist.
        """
        photos = self.photos()
        for photo in photos:
            if photo.view == view:
                return photo
        known = ", ".join(p.view for p in photos[:5]) + (", ..." if len(photos) > 5 else "")
        raise CaptureError(
            "capture.view", f"There is no view {view!r} in this capture.", f"Views are: {known}."
        )

    def photo_path(self, photo: Photo) -> Path:
        """Where the upright photo lies, checked to be inside the capture."""
        return inside(self.root, photo.file)

    def photo_mask_path(self, photo: Photo) -> Path | None:
        """Where the image of the photo's used pixels lies; None when all of it is used."""
        return inside(self.root, photo.mask) if photo.mask else None

    def reconstruction(self) -> Reconstruction | None:
        """Cameras of the placed views; None before the first reconstruction."""
        path = self.root / "cameras.json"
        return schema.reconstruction_from_json(read_json(path)) if path.is_file() else None

    def require_reconstruction(self) -> Reconstruction:
        """Like `reconstruction`, but says what to do when there is none."""
        reconstruction = self.reconstruction()
        if reconstruction is None:
            raise CaptureError(
                "capture.unreconstructed",
                "This capture has no cameras and pointmaps yet.",
                "Run `mvsam reconstruct`, or press Reconstruct in Blender.",
            )
        return reconstruction

    def pointmap(self, view: str) -> Pointmap:
        """The pointmap of a placed view."""
        points = read_array(self._array("pointmaps", view), np.float32, (None, None, 3))
        size = points.shape[:2]
        return Pointmap(
            view=view,
            points=points,
            confidence=read_array(self._array("confidence", view), np.float16, size),
            colors=read_array(self._array("colors", view), np.uint8, (*size, 3)),
        )

    def objects(self) -> tuple[SceneObject, ...]:
        """All objects, ordered by id."""
        folder = self.root / "objects"
        ids = sorted(p.parent.name for p in folder.glob("*/object.json")) if folder.is_dir() else []
        return tuple(self.object(object_id) for object_id in ids)

    def object(self, object_id: str) -> SceneObject:
        """The object with this id.

        Raises:
            CaptureError: there is none, or its file is damaged.
        """
        item = schema.object_from_json(read_json(self._object_path(object_id, "object.json")))
        if item.id != object_id:
            raise CaptureError("capture.object", f"objects/{object_id} holds object {item.id!r}.")
        return item

    def find_object(self, name: str) -> SceneObject | None:
        """The object with this name, or None."""
        return next((o for o in self.objects() if o.name == name), None)

    def mask_path(self, object_id: str, view: str) -> Path:
        """Where an object's mask image of a view lies or would lie."""
        return self._object_path(object_id, f"masks/{view}.png")

    def logits(self, object_id: str, view: str) -> NDArray[np.float16]:
        """An object's logits [h, w] in a view."""
        path = self._object_path(object_id, f"weights/{view}.npy")
        return read_array(path, np.float16, (None, None))

    def fused(self, object_id: str, view: str) -> NDArray[np.float16]:
        """An object's weights [h, w], 0..1, on the points of a view's pointmap."""
        path = self._object_path(object_id, f"fused/{view}.npy")
        return read_array(path, np.float16, (None, None))

    def pending(self, object_id: str, view: str) -> NDArray[np.float16]:
        """Logits [h, w] of the first, single-view answer."""
        path = self._object_path(object_id, f"pending/{view}.npy")
        return read_array(path, np.float16, (None, None))

    # --- writing -------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Generator[None]:
        """Hold the capture for writing and finish what a killed process had committed.

        Raises:
            CaptureError: another process is writing, or the folder is read-only.
        """
        with writer_lock(self.root):
            recover(self.root)
            yield

    def put_photos(self, photos: tuple[Photo, ...], transaction: Transaction) -> None:
        """Stage the list of photos; their files are staged by whoever reads them."""
        data = {"schema": schema.SCHEMA, "photos": schema.photos_to_json(photos)}
        transaction.write("capture.json", json_bytes(data))

    def transaction(self) -> Transaction:
        """A `Transaction` on this capture's folder."""
        return Transaction(self.root)

    def put_pointmap(self, pointmap: Pointmap, transaction: Transaction) -> None:
        """Stage one view's pointmap, confidence and colours."""
        for folder, array in (
            ("pointmaps", pointmap.points.astype(np.float32, copy=False)),
            ("confidence", pointmap.confidence.astype(np.float16, copy=False)),
            ("colors", pointmap.colors),
        ):
            transaction.write(f"{folder}/{pointmap.view}.npy", array_bytes(array))

    def put_reconstruction(self, reconstruction: Reconstruction, transaction: Transaction) -> None:
        """Stage cameras.json, in place of any earlier reconstruction.

        What was fused on the old points is dropped; prompts and masks stay, and count as
        unanswered.
        """
        for folder in ("pointmaps", "confidence", "colors"):
            transaction.delete(folder)
        for item in self.objects():
            transaction.delete(f"objects/{item.id}/fused")
            data = schema.object_to_json(replace(item, answered=0))
            transaction.write(f"objects/{item.id}/object.json", json_bytes(data))
        data = schema.reconstruction_to_json(reconstruction)
        transaction.write("cameras.json", json_bytes(data))

    def put_placement(self, placement: Placement, transaction: Transaction) -> Reconstruction:
        """Stage cameras.json with another placement of the same reconstruction.

        Pointmaps, masks and what was fused stay as they are: they are in the world's frame.

        Raises:
            CaptureError: there is no reconstruction.
        """
        placed = replace(self.require_reconstruction(), placement=placement)
        transaction.write("cameras.json", json_bytes(schema.reconstruction_to_json(placed)))
        return placed

    def put_object(self, item: SceneObject, transaction: Transaction) -> None:
        """Stage an object's description."""
        path = f"objects/{self._checked(item.id)}/object.json"
        transaction.write(path, json_bytes(schema.object_to_json(item)))

    def put_masks(
        self,
        item: SceneObject,
        masks: MaskSet,
        images: dict[str, bytes],
        transaction: Transaction,
    ) -> SceneObject:
        """Stage a complete answer: masks, logits and fused weights of every view, and scores.

        Args:
            item: the object as it was asked about.
            masks: the answer.
            images: view to the bytes of its mask PNG (photo size, 255 = object).
            transaction: where to stage.

        Returns:
            The object with its scores and `answered` revision.
        """
        folder = f"objects/{self._checked(item.id)}"
        for old in ("masks", "weights", "fused", "pending"):
            transaction.delete(f"{folder}/{old}")
        for mask in masks.masks:
            transaction.write(f"{folder}/masks/{mask.view}.png", images[mask.view])
            transaction.write(f"{folder}/weights/{mask.view}.npy", array_bytes(mask.logits))
            if mask.fused is not None:
                transaction.write(f"{folder}/fused/{mask.view}.npy", array_bytes(mask.fused))
        answered = replace(
            item,
            answered=masks.revision,
            segmenter=masks.segmenter,
            scores=tuple(m.score for m in masks.masks),
        )
        self.put_object(answered, transaction)
        return answered

    def put_pending(self, object_id: str, mask: ViewMask) -> None:
        """Write one view's first answer at once; replaced by the complete answer."""
        write_atomic(
            self._object_path(object_id, f"pending/{mask.view}.npy"), array_bytes(mask.logits)
        )

    def delete_object(self, object_id: str, transaction: Transaction) -> None:
        """Stage the removal of an object with all its masks."""
        transaction.delete(f"objects/{self._checked(object_id)}")

    # --- paths ---------------------------------------------------------------------------------

    def _checked(self, name: str) -> str:
        if not is_safe_name(name):
            raise CaptureError("capture.name", f"{name!r} is not a safe name for a file.")
        return name

    def _array(self, folder: str, view: str) -> Path:
        return inside(self.root, f"{folder}/{self._checked(view)}.npy")

    def _object_path(self, object_id: str, rest: str) -> Path:
        return inside(self.root, f"objects/{self._checked(object_id)}/{rest}")


def new_object_id(name: str, taken: tuple[str, ...]) -> str:
    """A folder-safe id for a new object called `name`, not among `taken`."""
    base = safe_name(name.lower().replace(" ", "_"), "object")
    candidate, number = base, 2
    while candidate in taken:
        candidate, number = f"{base}_{number}", number + 1
    return candidate


__all__ = ["Capture", "new_object_id"]
