# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators from photos to points: import, reconstruct, open."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, IntProperty, StringProperty

from mvsam_engine.capture.sources import is_video, media_in
from mvsam_engine.errors import MvsamError, PhotoError

from ..scene import build, jobs, redraw
from ..scene.session import session
from .running import FINISHED, refuse, run_job


class MVSAM_OT_import_photos(bpy.types.Operator):
    """Choose photos or videos of one scene, or a folder with them"""

    bl_idname = "mvsam.import_photos"
    bl_label = "Import Photos"
    bl_options = {"UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"})
    capture_dir: StringProperty(
        name="Capture",
        description="Folder to make for photos, points and masks; beside the file when empty",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )
    recursive: BoolProperty(
        name="Folders Below",
        description="Also search the folders inside a chosen folder",
        options={"SKIP_SAVE"},
    )
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        try:
            photos = self._photos()
        except MvsamError as error:
            return refuse(self, error)
        settings = context.scene.mvsam
        if self.capture_dir:
            settings.capture_dir = bpy.path.abspath(self.capture_dir)
        elif not settings.capture_dir:
            settings.capture_dir = str(_default_capture(photos[0]))
        listed = {item.file for item in settings.photos}
        new = [photo for photo in photos if str(photo) not in listed]
        for photo in new:
            item = settings.photos.add()
            item.view, item.file = photo.stem, str(photo)
        videos = sum(is_video(photo) for photo in new)
        what = f"{len(new) - videos} photos" + (f" and {videos} videos" if videos else "")
        text = f"{what} will be brought into {Path(settings.capture_dir).name!r}."
        session().tell(text)
        self.report({"INFO"}, text)
        redraw.redraw_all()
        return FINISHED

    def _photos(self) -> list[Path]:
        """The chosen files, folders searched, in the order of their names."""
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else Path()
        chosen = [folder / f.name for f in self.files if f.name]
        if not chosen and self.filepath:
            chosen = [Path(bpy.path.abspath(self.filepath))]
        if not chosen and self.directory:
            chosen = [folder]
        found: list[Path] = []
        for path in chosen:
            if path.is_dir():
                found += media_in(path, self.recursive)
            elif path.is_file():
                found.append(path)
        if not found:
            where = ", ".join(str(p) for p in chosen) or "nothing that was chosen"
            raise PhotoError(
                "photo.none", f"There are no photos in {where}.", "Choose photos or a folder."
            )
        return found


class MVSAM_OT_reconstruct(bpy.types.Operator):
    """Find out where each photo was taken from, and the 3D points that it sees"""

    bl_idname = "mvsam.reconstruct"
    bl_label = "Reconstruct"
    bl_options = {"UNDO"}

    max_size: IntProperty(
        name="Pointmap Size",
        description="Long side in pixels; 0: the preset's",
        default=0,
        min=0,
        max=4096,
    )
    anyway: BoolProperty(
        name="Anyway",
        description="Also when memory is forecast not to suffice",
        options={"SKIP_SAVE"},
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        listed, given = context.scene.mvsam.photos, context.scene.mvsam.given
        has = given.mesh is not None and bool(given.cameras)
        fewest = 1 if has else 2
        if len(listed) < fewest and not any(is_video(Path(item.file)) for item in listed):
            cls.poll_message_set("Import at least two photos or a video first")
            return False
        if any(job.kind == "reconstruct" for job in session().jobs.values()):
            cls.poll_message_set("It is under way; cancel it to start anew")
            return False
        return True

    def execute(self, context):
        photos = tuple(item.file for item in context.scene.mvsam.photos if not item.width)
        # A script has nobody to ask; it hears a warning and goes on.
        careful = not (bpy.app.background or self.wait or self.anyway)
        scene, size = context.scene, self.max_size
        return run_job(self, lambda: jobs.start_reconstruct(scene, photos, size, careful))


class MVSAM_OT_forecast(bpy.types.Operator):
    """Ask how long reconstructing will take with these settings, and how much memory"""

    bl_idname = "mvsam.forecast"
    bl_label = "Forecast"

    max_size: IntProperty(
        name="Pointmap Size",
        description="Long side in pixels; 0: the preset's",
        default=0,
        min=0,
        max=4096,
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        if len(context.scene.mvsam.photos):
            return True
        cls.poll_message_set("Import photos first")
        return False

    def execute(self, context):
        photos = tuple(item.file for item in context.scene.mvsam.photos if not item.width)
        return run_job(self, lambda: jobs.start_forecast(context.scene, photos, self.max_size))


class MVSAM_OT_open_capture(bpy.types.Operator):
    """Open the folder of a capture that was made before, here or by the command line"""

    bl_idname = "mvsam.open_capture"
    bl_label = "Open Capture"
    bl_options = {"UNDO"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        scene = context.scene
        try:
            build.load_capture(context, self.directory)
            redraw.show_photo(scene)
            placed = sum(photo.placed for photo in scene.mvsam.photos)
            text = f"{len(scene.mvsam.photos)} photos, {placed} of them placed."
            session().tell(text)
            self.report({"INFO"}, text)
            if placed and not bpy.app.background and session().settings().command:
                jobs.start_prepare(scene)
        except MvsamError as error:
            return refuse(self, error)
        redraw.redraw_all()
        return FINISHED


def _default_capture(first_photo: Path) -> Path:
    """A folder beside the saved file, else beside the photos' folder."""
    if bpy.data.filepath:
        file = Path(bpy.data.filepath)
        return file.with_name(f"{file.stem}_capture")
    folder = first_photo.absolute().parent
    return folder.with_name(f"{folder.name}_capture")


CLASSES = (
    MVSAM_OT_import_photos,
    MVSAM_OT_reconstruct,
    MVSAM_OT_forecast,
    MVSAM_OT_open_capture,
)
