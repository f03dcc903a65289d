# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shader of our own: a mask as a tint with an outline, from an image or from logits."""

from __future__ import annotations

import bpy
import gpu

_VERTEX = """
void main()
{
  place = texCoord;
  gl_Position = ModelViewProjectionMatrix * vec4(pos, 0.0, 1.0);
}
"""

# The outline is where the mask changes within the thickness of the line.
_FRAGMENT = """
float inside(vec2 at)
{
  /* Textures repeat: at the very edge they would mix in the opposite side. */
  vec2 margin = 0.5 / vec2(textureSize(mask, 0));
  return step(threshold, texture(mask, clamp(at, margin, 1.0 - margin)).r);
}

void main()
{
  float here = inside(place);
  float right = inside(place + vec2(line.x, 0.0));
  float left = inside(place - vec2(line.x, 0.0));
  float above = inside(place + vec2(0.0, line.y));
  float below = inside(place - vec2(0.0, line.y));
  float most = max(max(max(right, left), max(above, below)), here);
  float least = min(min(min(right, left), min(above, below)), here);
  float edge = most - least;
  fragColor = vec4(color.rgb, mix(here * color.a, outline, edge));
}
"""


def mask_shader() -> gpu.types.GPUShader:
    """Compile the shader.

    Inputs: ``pos``, ``texCoord`` (0..1, origin lower left); the texture ``mask``, whose red above
    ``threshold`` is object; ``color`` with the tint's opacity; ``outline``, the line's opacity;
    ``line``, half its thickness in texture coordinates.
    """
    interface = gpu.types.GPUStageInterfaceInfo("mvsam_mask_interface")
    interface.smooth("VEC2", "place")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant("MAT4", "ModelViewProjectionMatrix")
    info.push_constant("VEC4", "color")
    info.push_constant("VEC2", "line")
    info.push_constant("FLOAT", "threshold")
    info.push_constant("FLOAT", "outline")
    info.sampler(0, "FLOAT_2D", "mask")
    info.vertex_in(0, "VEC2", "pos")
    info.vertex_in(1, "VEC2", "texCoord")
    info.vertex_out(interface)
    info.fragment_out(0, "VEC4", "fragColor")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


def point_shader() -> gpu.types.GPUShader:
    """Blender's shader for coloured points, which has a name of its own from 4.5 on."""
    name = "POINT_FLAT_COLOR" if bpy.app.version >= (4, 5, 0) else "FLAT_COLOR"
    return gpu.shader.from_builtin(name)
