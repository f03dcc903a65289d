# SPDX-License-Identifier: GPL-3.0-or-later
"""The node group that makes rendered points of vertices, and the material that colours them.

Inputs of the group: Radius; Isolate with the attribute's name and a threshold (only points of one
object are shown); Least Confidence. Nothing is deleted: turning an input back shows all again.
"""

from __future__ import annotations

import bpy

from .attributes import PointAttribute

GROUP_NAME = "MV-SAM Points"
_VERSION_KEY = "mvsam_version"
_VERSION = 1

RADIUS = "Radius"
ISOLATE = "Isolate"
WEIGHT_NAME = "Weight Attribute"
THRESHOLD = "Threshold"
MATERIAL = "Material"


def point_group() -> bpy.types.NodeTree:
    """The shared node group, made when it is not there."""
    for tree in bpy.data.node_groups:
        if tree.get(_VERSION_KEY) == _VERSION and tree.bl_idname == "GeometryNodeTree":
            return tree
    tree = bpy.data.node_groups.new(GROUP_NAME, "GeometryNodeTree")
    tree[_VERSION_KEY] = _VERSION
    _make_interface(tree)
    _make_nodes(tree)
    return tree


def point_material() -> bpy.types.Material:
    """A material that shows the colour attribute as it is, whatever the light."""
    for material in bpy.data.materials:
        if material.get(_VERSION_KEY) == _VERSION:
            return material
    material = bpy.data.materials.new(GROUP_NAME)
    material[_VERSION_KEY] = _VERSION
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    attribute = tree.nodes.new("ShaderNodeAttribute")
    attribute.attribute_name = PointAttribute.COLOR.value.name
    emission = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    attribute.location, emission.location, output.location = (-400, 0), (-200, 0), (0, 0)
    tree.links.new(attribute.outputs["Color"], emission.inputs["Color"])
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def set_input(modifier: bpy.types.NodesModifier, name: str, value: object) -> None:
    """Set an input of the group by its name."""
    identifier = _identifier(modifier, name)
    if _has_typed_inputs(modifier):
        getattr(modifier.properties.inputs, identifier).value = value
    else:
        modifier[identifier] = value


def get_input(modifier: bpy.types.NodesModifier, name: str) -> object:
    """Value of an input of the group by its name."""
    identifier = _identifier(modifier, name)
    if _has_typed_inputs(modifier):
        return getattr(modifier.properties.inputs, identifier).value
    return modifier[identifier]


def _has_typed_inputs(modifier: bpy.types.NodesModifier) -> bool:
    """Whether inputs are typed properties (Blender 5.2) or custom properties (before)."""
    return hasattr(modifier, "properties")


def _identifier(modifier: bpy.types.NodesModifier, name: str) -> str:
    items = modifier.node_group.interface.items_tree
    return next(i.identifier for i in items if i.name == name and i.in_out == "INPUT")


def _make_interface(tree: bpy.types.NodeTree) -> None:
    interface = tree.interface
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    radius = interface.new_socket(RADIUS, in_out="INPUT", socket_type="NodeSocketFloat")
    radius.default_value, radius.min_value = 0.01, 0.0
    interface.new_socket(ISOLATE, in_out="INPUT", socket_type="NodeSocketBool")
    interface.new_socket(WEIGHT_NAME, in_out="INPUT", socket_type="NodeSocketString")
    threshold = interface.new_socket(THRESHOLD, in_out="INPUT", socket_type="NodeSocketFloat")
    threshold.default_value = 0.5
    interface.new_socket(MATERIAL, in_out="INPUT", socket_type="NodeSocketMaterial")
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")


def _make_nodes(tree: bpy.types.NodeTree) -> None:
    nodes, link = tree.nodes, tree.links.new
    given = nodes.new("NodeGroupInput")
    weight = nodes.new("GeometryNodeInputNamedAttribute")
    weight.data_type = "FLOAT"
    above = nodes.new("FunctionNodeCompare")
    above.data_type, above.operation = "FLOAT", "GREATER_THAN"
    everything = nodes.new("FunctionNodeBooleanMath")
    everything.operation = "NOT"
    shown = nodes.new("FunctionNodeBooleanMath")
    shown.operation = "OR"
    to_points = nodes.new("GeometryNodeMeshToPoints")
    colour = nodes.new("GeometryNodeSetMaterial")
    result = nodes.new("NodeGroupOutput")
    for column, node in enumerate(
        (given, weight, above, everything, shown, to_points, colour, result)
    ):
        node.location = (column * 200 - 800, 0)

    link(given.outputs[WEIGHT_NAME], weight.inputs["Name"])
    link(weight.outputs["Attribute"], above.inputs[0])
    link(given.outputs[THRESHOLD], above.inputs[1])
    link(given.outputs[ISOLATE], everything.inputs[0])
    link(everything.outputs[0], shown.inputs[0])
    link(above.outputs[0], shown.inputs[1])
    link(given.outputs["Geometry"], to_points.inputs["Mesh"])
    link(shown.outputs[0], to_points.inputs["Selection"])
    link(given.outputs[RADIUS], to_points.inputs["Radius"])
    link(to_points.outputs[0], colour.inputs["Geometry"])
    link(given.outputs[MATERIAL], colour.inputs["Material"])
    link(colour.outputs[0], result.inputs["Geometry"])
