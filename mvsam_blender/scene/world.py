# SPDX-License-Identifier: GPL-3.0-or-later
"""The one parent of points and cameras carries the placement: up, ground and scale.

The parent remembers which placement it was given. As long as it stands where that put it, a new
placement moves it; once a person has moved it by hand, only an explicit button does.

In a file whose unit is not the metre, a placement in metres is brought to that unit here, so that
lengths read right; nothing else of the scene is changed.
"""

from __future__ import annotations

import json
import zlib

import bpy
import numpy as np
from mathutils import Matrix

from mvsam_engine.capture import Placement, Reconstruction
from mvsam_engine.capture.schema import placement_from_json, placement_to_json
from mvsam_engine.errors import CaptureError, MvsamError, PlacementError
from mvsam_engine.fields import Fields

from .placement import find_tagged, parent_empty

_PLACEMENT = "mvsam_placement"
_APPLIED = "mvsam_applied"
_WORLD = "mvsam_world"
# Blender keeps floats: what differs by less was not moved by anybody.
_SAME = 1e-5
# Scales of the axes that differ by less are one scale.
_UNIFORM = 1e-3


def meters_per_unit(scene: bpy.types.Scene) -> float:
    """Metres that one unit of the scene stands for."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else units.scale_length


def apply_placement(
    scene: bpy.types.Scene, reconstruction: Reconstruction, force: bool = False
) -> bool:
    """Put the parent where the reconstruction's placement says.

    Args:
        scene: its parent empty is moved.
        reconstruction: as the capture has it.
        force: move it even when a person has moved it by hand.

    Returns:
        Whether it stands there; False when a person's own transform was kept.
    """
    empty = parent_empty(scene)
    if not (force or is_untouched(empty)):
        return False
    placement = reconstruction.placement
    empty.matrix_basis = _to_blender(placement, scene)
    empty[_PLACEMENT] = as_text(placement)
    # As Blender keeps it, in single precision and through rotation angles.
    empty[_APPLIED] = [value for row in empty.matrix_basis for value in row]
    empty[_WORLD] = world_stamp(reconstruction)
    return True


def frame_of(scene: bpy.types.Scene) -> Matrix:
    """Where the parent stands in Blender's world; the identity while there is none."""
    empty = find_tagged(scene, "parent")
    if empty is None:
        return Matrix.Identity(4)
    # `matrix_world` is of the last redraw; without a parent of its own the basis is newer.
    return empty.matrix_basis.copy() if empty.parent is None else empty.matrix_world.copy()


def is_untouched(empty: bpy.types.Object) -> bool:
    """Whether the parent stands where the last placement, or none, put it."""
    applied = np.array(empty.get(_APPLIED, np.eye(4).ravel())).reshape(4, 4)
    present = np.array(empty.matrix_basis)
    tolerance = _SAME * max(1.0, float(np.abs(applied).max()))
    return bool(np.abs(present - applied).max() <= tolerance)


def is_moved_by_hand(scene: bpy.types.Scene) -> bool:
    """Whether a person has moved the parent since it was placed."""
    empty = find_tagged(scene, "parent")
    return empty is not None and not is_untouched(empty)


def is_moved(scene: bpy.types.Scene) -> bool:
    """Whether the points stand elsewhere than the reconstruction had them."""
    return is_moved_by_hand(scene) or not recorded(scene).is_default


def as_text(placement: Placement) -> str:
    """A placement as the parent remembers it."""
    return json.dumps(placement_to_json(placement))


def recorded(scene: bpy.types.Scene) -> Placement:
    """The placement that the parent was given last; the default when it has none."""
    empty = find_tagged(scene, "parent")
    text = empty.get(_PLACEMENT, "") if empty is not None else ""
    if not text:
        return Placement()
    try:
        return placement_from_json(Fields(json.loads(text), "The parent", CaptureError))
    except (ValueError, MvsamError):
        return Placement()


def recorded_world(scene: bpy.types.Scene) -> int:
    """`world_stamp` of the reconstruction that the parent was placed for, 0 when not known."""
    empty = find_tagged(scene, "parent")
    return int(empty.get(_WORLD, 0)) if empty is not None else 0


def world_stamp(reconstruction: Reconstruction) -> int:
    """A number that tells reconstructions apart."""
    poses = b"".join(c.camera_from_world.tobytes() for c in reconstruction.cameras)
    return zlib.crc32(poses) & 0x7FFFFFFF  # a custom property is a signed integer


def start_of(scene: bpy.types.Scene) -> Placement | None:
    """The transform that a person gave the parent by hand, as a placement; None when none.

    Raises:
        PlacementError: it is not a turn, a shift and one scale.
    """
    empty = find_tagged(scene, "parent")
    if empty is None or is_untouched(empty):
        return None
    old = recorded(scene)
    place, turn, scales = empty.matrix_basis.decompose()
    scale = sum(scales) / 3
    if scale <= 0 or max(abs(s - scale) for s in scales) > _UNIFORM * scale:
        raise PlacementError(
            "place.uneven",
            f"{empty.name} has different scales along its axes, which would bend the cameras.",
            "Give it one scale, or clear the placement.",
        )
    unit = meters_per_unit(scene) if old.metric else 1.0
    rotation = np.array(turn.normalized().to_matrix(), dtype=np.float64)
    u, _, vt = np.linalg.svd(rotation)  # single precision is not rigid enough
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = u @ vt, np.array(place) * unit
    same_scale = abs(scale * unit / old.scale - 1.0) < 1e-4
    same_up = float(matrix[2, :3] @ old.matrix[2, :3]) > 1.0 - 1e-8
    return Placement(
        scale=old.scale if same_scale else scale * unit,
        matrix=matrix,
        metric=old.metric and same_scale,
        upright=old.upright and same_up,
        source="turned by hand",
    )


def _to_blender(placement: Placement, scene: bpy.types.Scene) -> Matrix:
    full = placement.transform
    if placement.metric:
        full[:3] /= meters_per_unit(scene)
    return Matrix(full.tolist())
