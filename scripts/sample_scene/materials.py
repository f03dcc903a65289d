# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles materials: painted, printed, wooden and organic surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from .patterns import Color, hex_color

Rgba = tuple[float, float, float, float]


def linear(color: str | Color) -> Rgba:
    """An sRGB colour as the scene-linear RGBA that Blender's nodes expect (IEC 61966-2-1)."""
    values = np.asarray(hex_color(color) if isinstance(color, str) else color) / 255.0
    curve = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return (*curve.tolist(), 1.0)


@dataclass(frozen=True)
class Finish:
    """How a surface answers light."""

    roughness: float = 0.6
    specular: float = 0.5  # Principled "Specular IOR Level"
    coat: float = 0.0  # clear glaze above the colour, 0..1
    bump: float = 0.0  # strength of the relief, 0..1
    bump_scale: float = 300.0  # features of the relief per metre


@dataclass(frozen=True)
class Wood:
    """Colours and grain of a wooden surface; the grain runs along the local X axis."""

    dark: str
    light: str
    scale: float = 14.0  # growth rings per metre, about
    finish: Finish = Finish(roughness=0.45)


def _principled(name: str, finish: Finish) -> tuple[bpy.types.Material, bpy.types.Node]:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = finish.roughness
    shader.inputs["Specular IOR Level"].default_value = finish.specular
    shader.inputs["Coat Weight"].default_value = finish.coat
    shader.inputs["Coat Roughness"].default_value = 0.06
    if finish.bump > 0:
        tree = material.node_tree
        noise = _noise(tree, finish.bump_scale, 4.0)
        _bump(tree, shader, noise.outputs["Fac"], finish.bump)
    return material, shader


def _noise(
    tree: bpy.types.NodeTree, scale: float, detail: float, stretch: tuple[float, ...] = (1, 1, 1)
) -> bpy.types.Node:
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = stretch
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = scale
    noise.inputs["Detail"].default_value = detail
    tree.links.new(coordinates.outputs["Object"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], noise.inputs["Vector"])
    return noise


def _bump(
    tree: bpy.types.NodeTree,
    shader: bpy.types.Node,
    height: bpy.types.NodeSocket,
    strength: float,
    distance: float = 0.002,
) -> None:
    bump = tree.nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = strength
    bump.inputs["Distance"].default_value = distance
    tree.links.new(height, bump.inputs["Height"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])


def _ramp(
    tree: bpy.types.NodeTree, value: bpy.types.NodeSocket, stops: tuple[tuple[float, str], ...]
) -> bpy.types.NodeSocket:
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    elements = ramp.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (position, color) in zip(elements, stops, strict=True):
        element.position, element.color = position, linear(color)
    tree.links.new(value, ramp.inputs["Fac"])
    return ramp.outputs["Color"]


def paint(name: str, color: str | Color, finish: Finish | None = None) -> bpy.types.Material:
    """One plain colour."""
    material, shader = _principled(name, finish or Finish())
    shader.inputs["Base Color"].default_value = linear(color)
    return material


def mottled(
    name: str, stops: tuple[tuple[float, str], ...], scale: float, finish: Finish
) -> bpy.types.Material:
    """A colour ramp over noise with ``scale`` features per metre: clay, peel, soil, plaster."""
    material, shader = _principled(name, finish)
    tree = material.node_tree
    noise = _noise(tree, scale, 5.0)
    tree.links.new(_ramp(tree, noise.outputs["Fac"], stops), shader.inputs["Base Color"])
    return material


def wood(name: str, look: Wood) -> bpy.types.Material:
    """Growth rings bent by noise, with fine pores along the grain."""
    material, shader = _principled(name, look.finish)
    tree = material.node_tree
    rings = _noise(tree, look.scale, 3.0, (0.10, 1.0, 1.0))
    pores = _noise(tree, look.scale * 22, 2.0, (0.035, 1.0, 1.0))
    wave = tree.nodes.new("ShaderNodeMath")
    wave.operation, wave.inputs[1].default_value = "MULTIPLY", 7.0
    tree.links.new(rings.outputs["Fac"], wave.inputs[0])
    fraction = tree.nodes.new("ShaderNodeMath")
    fraction.operation, fraction.inputs[1].default_value = "PINGPONG", 0.5
    tree.links.new(wave.outputs[0], fraction.inputs[0])
    mix = tree.nodes.new("ShaderNodeMath")
    mix.operation, mix.inputs[1].default_value = "MULTIPLY_ADD", 0.75
    tree.links.new(fraction.outputs[0], mix.inputs[0])
    tree.links.new(pores.outputs["Fac"], mix.inputs[2])
    stops = ((0.32, look.dark), (0.95, look.light))
    tree.links.new(_ramp(tree, mix.outputs[0], stops), shader.inputs["Base Color"])
    _bump(tree, shader, pores.outputs["Fac"], 0.12)
    return material


def printed(
    name: str,
    pixels: np.ndarray,
    finish: Finish | None = None,
    repeat: tuple[float, float] = (1, 1),
) -> bpy.types.Material:
    """An image, uint8 [height, width, 3] with the first row at the top, along the mesh's UVs."""
    material, shader = _principled(name, finish or Finish())
    tree = material.node_tree
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = _as_blender_image(name, pixels)
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (*repeat, 1.0)
    tree.links.new(coordinates.outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material


def _as_blender_image(name: str, pixels: np.ndarray) -> bpy.types.Image:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height)
    rgba = np.ones((height, width, 4), dtype=np.float32)
    rgba[..., :3] = pixels[::-1] / np.float32(255)
    image.pixels.foreach_set(rgba.ravel())
    image.pack()
    return image


def boxed(
    name: str, pixels: np.ndarray, metres: float, finish: Finish | None = None, relief: float = 0.0
) -> bpy.types.Material:
    """An image laid onto every side of a body, whatever its mesh.

    Args:
        name: of the material.
        pixels: uint8 [height, width, 3], first row at the top.
        metres: side of the square that shows the whole image.
        finish: how the surface answers light.
        relief: height in metres that the image's brightness stands out by; 0 for none.
    """
    material, shader = _principled(name, finish or Finish())
    tree = material.node_tree
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = _as_blender_image(name, pixels)
    texture.projection, texture.projection_blend = "BOX", 0.15
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (1 / metres,) * 3
    mapping.inputs["Location"].default_value = (0.5,) * 3  # the middle of the image at the origin
    tree.links.new(coordinates.outputs["Object"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    if relief > 0:
        _bump(tree, shader, texture.outputs["Color"], 1.0, relief)
    return material
