# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of the points: their names, types and widths, and the one way to read and write them.

All are on the domain POINT of a mesh that has only vertices.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum

import bpy
import numpy as np
from numpy.typing import NDArray

# Blender 4.2 cuts names of attributes at 67 bytes.
_LONGEST_ID = 48


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """How an attribute is called and stored.

    Attributes:
        name: in Blender.
        data_type: Blender's type.
        field: property of one element that `foreach_get` and `foreach_set` use.
        width: numbers per point.
        dtype: numpy type that `foreach_get` and `foreach_set` take.
    """

    name: str
    data_type: str
    field: str
    width: int
    dtype: type[np.generic]


class PointAttribute(Enum):
    """The attributes that every cloud has."""

    POSITION = AttributeSpec("position", "FLOAT_VECTOR", "vector", 3, np.float32)
    # Bytes keep the photo's colours exactly, at a quarter of the memory of floats. Lower-case
    # "color" would render black: Cycles keeps that name for itself on point clouds.
    COLOR = AttributeSpec("Color", "BYTE_COLOR", "color_srgb", 4, np.float32)
    CONFIDENCE = AttributeSpec("confidence", "FLOAT", "value", 1, np.float32)
    VIEW = AttributeSpec("view", "INT", "value", 1, np.int32)
    PIXEL = AttributeSpec("pixel", "INT32_2D", "value", 2, np.int32)
    OBJECT = AttributeSpec("mvsam_object", "INT", "value", 1, np.int32)


def weight_spec(object_id: str) -> AttributeSpec:
    """The attribute that holds an object's weight, 0..1, of each point."""
    short = object_id
    if len(object_id.encode()) > _LONGEST_ID:
        head = object_id.encode()[: _LONGEST_ID - 9].decode("utf-8", "ignore")
        short = f"{head}_{zlib.crc32(object_id.encode()):08x}"
    name = f"mvsam_{short}"
    if name == PointAttribute.OBJECT.value.name:
        name += "_"
    return AttributeSpec(name, "FLOAT", "value", 1, np.float32)


def write_attribute(mesh: bpy.types.Mesh, spec: AttributeSpec, values: NDArray) -> None:
    """Write [N] or [N, width] `values`, making the attribute or replacing one of another type."""
    attribute = mesh.attributes.get(spec.name)
    if attribute is not None and not _fits(attribute, spec):
        mesh.attributes.remove(attribute)
        attribute = None
    if attribute is None:
        attribute = mesh.attributes.new(spec.name, spec.data_type, "POINT")
    flat = np.ascontiguousarray(values, dtype=spec.dtype).reshape(-1)
    attribute.data.foreach_set(spec.field, flat)


def read_attribute(mesh: bpy.types.Mesh, spec: AttributeSpec) -> NDArray | None:
    """Values [N] or [N, width] of the attribute, None when the mesh does not have it."""
    attribute = mesh.attributes.get(spec.name)
    if attribute is None or not _fits(attribute, spec):
        return None
    values = np.empty(len(attribute.data) * spec.width, dtype=spec.dtype)
    attribute.data.foreach_get(spec.field, values)
    return values if spec.width == 1 else values.reshape(-1, spec.width)


def remove_attribute(mesh: bpy.types.Mesh, spec: AttributeSpec) -> None:
    """Remove the attribute if it is there."""
    attribute = mesh.attributes.get(spec.name)
    if attribute is not None:
        mesh.attributes.remove(attribute)


def _fits(attribute: bpy.types.Attribute, spec: AttributeSpec) -> bool:
    return attribute.data_type == spec.data_type and attribute.domain == "POINT"
