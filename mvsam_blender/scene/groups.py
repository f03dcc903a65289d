# SPDX-License-Identifier: GPL-3.0-or-later
"""An object's weights on the points: exact in an attribute, mirrored in a vertex group.

The attribute is the engine's answer as it came. Where objects overlap, ``mvsam_object`` says which
of them a point belongs to, and vertex groups leave out what belongs to another, unless objects are
independent. The groups let Mask modifier, weight paint and Select work without us.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.weights import THRESHOLD, own_part, quantise, strongest_object
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


@dataclass(frozen=True, slots=True)
class Claim:
    """What an object asks of the points.

    Attributes:
        object_id: names its attribute.
        group: name of its vertex group.
        number: its value in ``mvsam_object``.
        locked: it keeps exactly the points that it has.
    """

    object_id: str
    group: str
    number: int
    locked: bool = False


def write_weights(item: bpy.types.Object, object_id: str, weights: NDArray[np.float32]) -> None:
    """Write an object's weights [N] 0..1, in the order of the vertices; `settle` comes next."""
    write_attribute(item.data, weight_spec(object_id), weights)


def remove_weights(item: bpy.types.Object, object_id: str, group: str) -> None:
    """Remove an object's attribute and vertex group."""
    remove_attribute(item.data, weight_spec(object_id))
    found = item.vertex_groups.get(group)
    if found is not None:
        item.vertex_groups.remove(found)
    item.data.update()


def settle(
    item: bpy.types.Object,
    claims: Sequence[Claim],
    independent: bool,
    fresh: Collection[str] = (),
) -> dict[str, int]:
    """Decide which object each point belongs to, and let the vertex groups follow.

    Args:
        item: the points.
        claims: of all objects; of equal weights the earlier object wins.
        independent: groups may overlap; ``mvsam_object`` holds the strongest object all the same.
        fresh: ids of the objects whose weights are new: their groups are filled anew, locked or
            not. Of the others' groups only what changes is touched.

    Returns:
        How many points each object has, by id; objects without weights are left out.
    """
    weights = {c.object_id: read_attribute(item.data, weight_spec(c.object_id)) for c in claims}
    known = [c for c in claims if weights[c.object_id] is not None]
    before = read_attribute(item.data, PointAttribute.OBJECT.value)
    if before is None:
        before = np.zeros(len(item.data.vertices), dtype=np.int32)
    owner = _owner(known, weights, before, fresh)
    write_attribute(item.data, PointAttribute.OBJECT.value, owner)
    counts: dict[str, int] = {}
    for claim in known:
        weight = weights[claim.object_id]
        now = weight if independent else own_part(weight, owner, claim.number)
        if claim.object_id in fresh:
            _fill_group(item, claim.group, now)
        elif not (claim.locked or independent):
            was = own_part(weight, before, claim.number)
            _change_group(item, claim.group, was, now)
        counts[claim.object_id] = int((now > THRESHOLD).sum())
    item.data.update()
    return counts


def shown_weights(
    item: bpy.types.Object, object_id: str, number: int, independent: bool
) -> NDArray[np.float32] | None:
    """An object's weights [N] as its vertex group has them; None when it has none."""
    weights = read_attribute(item.data, weight_spec(object_id))
    owner = read_attribute(item.data, PointAttribute.OBJECT.value)
    if weights is None or owner is None or independent:
        return weights
    return own_part(weights, owner, number)


def _owner(
    known: Sequence[Claim],
    weights: dict[str, NDArray[np.float32] | None],
    before: NDArray[np.int32],
    fresh: Collection[str],
) -> NDArray[np.int32]:
    """Which object each point belongs to: the strongest, but what is locked stays."""
    if not known:
        return np.zeros_like(before)
    held = [c.number for c in known if c.locked and c.object_id not in fresh]
    free = [c for c in known if c.number not in held]
    owner = np.zeros_like(before)
    if free:
        owner = strongest_object([weights[c.object_id] for c in free], [c.number for c in free])
    stays = np.isin(before, held)
    owner[stays] = before[stays]
    return owner


def _fill_group(item: bpy.types.Object, name: str, weights: NDArray[np.float32]) -> None:
    group = item.vertex_groups.get(name)
    if group is None:
        group = item.vertex_groups.new(name=name)
    else:
        group.remove(range(len(item.data.vertices)))
    _add(group, np.arange(len(weights)), quantise(weights, _STEPS))


def _change_group(
    item: bpy.types.Object, name: str, was: NDArray[np.float32], now: NDArray[np.float32]
) -> None:
    """Write only the weights that differ; what a person painted elsewhere in the group stays."""
    group = item.vertex_groups.get(name)
    steps = quantise(now, _STEPS)
    changed = np.nonzero(quantise(was, _STEPS) != steps)[0]
    if group is None or len(changed) == 0:
        return
    group.remove(changed[steps[changed] == 0].tolist())
    _add(group, changed, steps[changed])


def _add(
    group: bpy.types.VertexGroup, indices: NDArray[np.int64], steps: NDArray[np.int32]
) -> None:
    """Give the vertices `indices` their weights, in whole steps; 0 is not written."""
    order = np.argsort(steps, kind="stable")
    bounds = np.searchsorted(steps[order], np.arange(1, _STEPS + 2))
    for step in range(1, _STEPS + 1):
        members = indices[order[bounds[step - 1] : bounds[step]]]
        if len(members):
            group.add(members.tolist(), step / _STEPS, "REPLACE")
