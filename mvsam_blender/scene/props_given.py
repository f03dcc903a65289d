# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene remembers for reconstructing: the preset, and what the person already has."""

import bpy
from bpy.props import BoolProperty, EnumProperty, PointerProperty, StringProperty

from .handover import may_be_handed_over


class MVSAM_PG_given(bpy.types.PropertyGroup):
    """How to reconstruct, and from what."""

    preset: EnumProperty(
        name="Preset",
        description="How much work to put in",
        items=[
            ("draft", "Draft", "A first look in a fraction of the time"),
            ("normal", "Normal", "For clicking and painting"),
            ("fine", "Fine", "Twice the detail, for meshes and thin things; much slower"),
        ],
        default="normal",
    )
    cameras: StringProperty(
        name="Cameras",
        description=(
            "File or folder with cameras that you have: COLMAP, Metashape, RealityScan, "
            "nerfstudio, Bundler, OpenSfM. Empty: they are found from the photos"
        ),
        subtype="FILE_PATH",
    )
    mesh: PointerProperty(
        name="Mesh",
        description="Your own mesh of the scene: depth is taken from it, not from the photos",
        type=bpy.types.Object,
        poll=may_be_handed_over,
    )
    mesh_frame: EnumProperty(
        name="Mesh Stands",
        description="How the mesh lies to the cameras",
        items=[
            (
                "PARENT",
                "Beside the Points",
                "In the frame of the parent of points and cameras: the parent's transform is "
                "taken back, so what you see in place is in place",
            ),
            (
                "WORLD",
                "In the Cameras' Frame",
                "Blender's world coordinates are those of the camera file, whatever the parent "
                "is set to",
            ),
            (
                "LOCAL",
                "As in Its File",
                "The mesh's own coordinates are those of the camera file: for importers that "
                "turn the object to Blender's axes",
            ),
        ],
        default="PARENT",
    )
    masks: StringProperty(
        name="Masks",
        description="Folder of photo masks, named like the photos: white is used",
        subtype="DIR_PATH",
    )
    masks_invert: BoolProperty(name="Invert Masks", description="White is ignored instead")


CLASSES = (MVSAM_PG_given,)
