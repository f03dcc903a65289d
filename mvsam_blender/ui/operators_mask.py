# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that a person has already, as prompts: from files, from a folder, painted in Blender."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from mvsam_engine.errors import MvsamError, SegmentationError

from ..core.given_masks import find_mask
from ..scene import mask_images, objects, views
from ..scene.session import session
from .marking import segment_if_wanted
from .operators_object import add_object, poll_reconstructed, poll_unlocked
from .pointing import markable
from .running import CANCELLED, FINISHED, refuse


def _give(operator, scene, prompts, words):
    """Give masks to the active object, or to a new one, and ask the engine once."""
    item = objects.active(scene) or add_object(scene)
    try:
        for prompt in prompts:
            mask_images.give(item, prompt)
    except MvsamError as error:
        return refuse(operator, error)
    told = [word for word in words if word]
    if told:
        operator.report({"INFO"}, told[0] + (f" (and {len(told) - 1} more)" if told[1:] else ""))
        session().tell(told[0])
    segment_if_wanted(operator, scene, item)
    return FINISHED


class MVSAM_OT_import_mask(bpy.types.Operator):
    """Use a mask from a file, white where the object is, as a hint in the photo that is shown"""

    bl_idname = "mvsam.import_mask"
    bl_label = "Import Mask"
    bl_options = {"UNDO"}

    filepath: StringProperty(name="File or Folder", subtype="FILE_PATH", options={"SKIP_SAVE"})
    view: StringProperty(
        name="View", description="Photo's name; the active one when empty", options={"SKIP_SAVE"}
    )
    all_photos: BoolProperty(
        name="All Photos",
        description="Take the masks of all photos from this folder, by their names",
        options={"SKIP_SAVE"},
    )
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        scene = context.scene
        try:
            pairs = self._pairs(scene)
            read = [mask_images.from_file(scene, photo, path) for photo, path in pairs]
        except MvsamError as error:
            return refuse(self, error)
        return _give(self, scene, [prompt for prompt, _ in read], [word for _, word in read])

    def _pairs(self, scene):
        """Photos and the files of their masks."""
        path = Path(bpy.path.abspath(self.filepath))
        folder = path if path.is_dir() else path.parent
        if not self.filepath or not path.exists():
            raise SegmentationError(
                "mask.missing", f"There is no file {path.name!r}.", "Choose an image or a folder."
            )
        if self.all_photos:
            placed = [photo for photo in scene.mvsam.photos if photo.placed]
        else:
            placed = [markable(scene, self.view or views.active_view(scene))]
            if path.is_file():
                return [(placed[0], path)]
        pairs = [(p, find_mask(folder, p.view, Path(p.file).name)) for p in placed]
        found = [(photo, mask) for photo, mask in pairs if mask is not None]
        if not found:
            names = placed[0].view if len(placed) == 1 else "any of the photos"
            raise SegmentationError(
                "mask.missing",
                f"{folder.name} has no mask of {names}.",
                "Masks are called as their photos, e.g. IMG_1.png or IMG_1_mask.png for IMG_1.jpg.",
            )
        return found


class MVSAM_OT_use_image_as_mask(bpy.types.Operator):
    """Use an image of this file, white where the object is, also painted and not saved yet"""

    bl_idname = "mvsam.use_image_as_mask"
    bl_label = "Use Image as Mask"
    bl_options = {"UNDO"}

    image: StringProperty(
        name="Image", description="The one in the panel when empty", options={"SKIP_SAVE"}
    )
    view: StringProperty(
        name="View",
        description="Photo's name; when empty the one that the image was made for, or the active",
        options={"SKIP_SAVE"},
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def execute(self, context):
        scene = context.scene
        try:
            image = self._image(scene)
            photo = markable(scene, self.view or mask_images.view_meant(scene, image))
            prompt, word = mask_images.from_image(scene, photo, image)
        except MvsamError as error:
            return refuse(self, error)
        return _give(self, scene, [prompt], [word])

    def _image(self, scene):
        marking = scene.mvsam.marking
        image = bpy.data.images.get(self.image) if self.image else marking.mask_image
        if image is None:
            raise SegmentationError(
                "mask.image",
                f"There is no image {self.image!r}." if self.image else "No image is chosen.",
                "Choose one in the panel, or paint one.",
            )
        if mask_images.is_photo(scene, image):
            raise SegmentationError(
                "mask.photo",
                f"{image.name} is the photo itself, not a mask of it.",
                "Choose an image that is white where the object is.",
            )
        return image


class MVSAM_OT_paint_mask(bpy.types.Operator):
    """Paint the object's mask of this photo; begins with what was found so far"""

    bl_idname = "mvsam.paint_mask"
    bl_label = "Paint Mask"
    bl_options = {"UNDO"}

    view: StringProperty(
        name="View", description="Photo's name; the active one when empty", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def execute(self, context):
        scene = context.scene
        try:
            photo = markable(scene, self.view or views.active_view(scene))
            item = objects.active(scene)
            if item is not None:
                objects.require_unlocked(item)
        except MvsamError as error:
            return refuse(self, error)
        image = mask_images.painted_image(scene, item or add_object(scene), photo)
        scene.mvsam.marking.mask_image = image
        if not mask_images.show_to_paint(context, image):
            self.report({"INFO"}, f"Open {image.name} in an Image Editor and paint it.")
        return FINISHED


class MVSAM_OT_remove_mask(bpy.types.Operator):
    """Remove the mask that was given for a photo; what was clicked stays"""

    bl_idname = "mvsam.remove_mask"
    bl_label = "Remove Mask"
    bl_options = {"UNDO"}

    view: StringProperty(
        name="View", description="Photo's name; the active one when empty", options={"SKIP_SAVE"}
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return poll_unlocked(cls, context)

    def execute(self, context):
        scene = context.scene
        item, view = objects.active(scene), self.view or views.active_view(scene)
        if not mask_images.remove(item, view):
            self.report({"INFO"}, f"{item.name} was given no mask for {view}.")
            return CANCELLED
        segment_if_wanted(self, scene, item)
        return FINISHED


CLASSES = (
    MVSAM_OT_import_mask,
    MVSAM_OT_use_image_as_mask,
    MVSAM_OT_paint_mask,
    MVSAM_OT_remove_mask,
)
