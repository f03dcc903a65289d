# SPDX-License-Identifier: GPL-3.0-or-later
"""An object's weights on the points: exact in an attribute, mirrored in a vertex group.

The attribute is the truth; the vertex group lets Mask modifier, weight paint and Select work.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.weights import THRESHOLD, quantise, strongest_object
from .attributes import (
    PointAttribute,
    read_attribute,
    remove_attribute,
    weight_spec,
    write_attribute,
)

# One call sets one weight on many vertices, so weights are rounded to this many steps: 1 M points
# take half a second, and no eye tells 1/32 apart in weight paint.
_STEPS = 32


def place_weights(
    item: bpy.types.Object, object_id: str, group: str, weights: NDArray[np.float32]
) -> int:
    """Write an object's weights on the points; how many points belong to it.

    Args:
        item: the points.
        object_id: names the attribute.
        group: name of the vertex group.
        weights: [N] 0..1, in the order of the vertices.
    """
    write_attribute(item.data, weight_spec(object_id), weights)
    _fill_group(item, group, weights)
    item.data.update()
    return int((weights > THRESHOLD).sum())


def remove_weights(item: bpy.types.Object, object_id: str, group: str) -> None:
    """Remove an object's attribute and vertex group."""
    remove_attribute(item.data, weight_spec(object_id))
    found = item.vertex_groups.get(group)
    if found is not None:
        item.vertex_groups.remove(found)
    item.data.update()


def update_owner(item: bpy.types.Object, object_ids: list[str]) -> None:
    """Write which of the objects each point belongs to: 0 none, 1 the first, and so on."""
    count = len(item.data.vertices)
    weights = [read_attribute(item.data, weight_spec(i)) for i in object_ids]
    # An object without an answer keeps its number, with no points.
    known = [w if w is not None else np.zeros(count, dtype=np.float32) for w in weights]
    owner = strongest_object(known) if known else np.zeros(count, dtype=np.int32)
    write_attribute(item.data, PointAttribute.OBJECT.value, owner)


def _fill_group(item: bpy.types.Object, name: str, weights: NDArray[np.float32]) -> None:
    group = item.vertex_groups.get(name)
    if group is None:
        group = item.vertex_groups.new(name=name)
    else:
        group.remove(range(len(item.data.vertices)))
    steps = quantise(weights, _STEPS)
    order = np.argsort(steps, kind="stable")
    bounds = np.searchsorted(steps[order], np.arange(1, _STEPS + 2))
    for step in range(1, _STEPS + 1):
        members = order[bounds[step - 1] : bounds[step]]
        if len(members):
            group.add(members.tolist(), step / _STEPS, "REPLACE")
