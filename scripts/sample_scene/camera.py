# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual camera: Cycles settings, photos with EXIF, and the exact truth behind each photo.

Convention: pixel coordinates run right and down from the top-left corner of the photo; the first
pixel's centre is (0.5, 0.5). Depth is the z coordinate in the camera, in metres; 0 where the ray
hits nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

FILM_35MM_DIAGONAL = math.hypot(36.0, 24.0)  # CIPA DCG-001: equivalence by the image diagonal
CROP = 2.0
# Blender gives rays that hit nothing a depth of 1e10.
FARTHEST = 1e6


@dataclass(frozen=True)
class Shot:
    """How a photo is taken.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        samples: Cycles samples per pixel.
        seed: of Cycles and of the sensor's noise.
        kind: name of the scene, for the photo's description.
        focal_35mm: focal length of the lens as its equivalent on 35 mm film, by the diagonal.
        exposure: stops added when the photo is developed.
        quick: light after the first bounce is taken from the world instead of traced.
        exif: whether the photo says how it was taken.
        quality: of the JPEG.
    """

    width: int
    height: int
    samples: int
    seed: int
    kind: str = "tabletop"
    focal_35mm: int = 35
    exposure: float = 0.6
    quick: bool = False
    exif: bool = True
    quality: int = 90

    @property
    def focal_mm(self) -> float:
        """Focal length in millimetres on the real sensor."""
        return self.focal_35mm / CROP

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, from the 35 mm equivalent over the image diagonal."""
        return self.focal_35mm / FILM_35MM_DIAGONAL * math.hypot(self.width, self.height)

    @property
    def sensor_width_mm(self) -> float:
        """Width of a sensor of half the 35 mm diagonal in the photo's aspect ratio."""
        diagonal = FILM_35MM_DIAGONAL / CROP
        return diagonal * self.width / math.hypot(self.width, self.height)

    @property
    def intrinsics(self) -> np.ndarray:
        """K, float64 [3, 3], corner-origin pixels of the whole photo."""
        f = self.focal_px
        return np.array([[f, 0, self.width / 2], [0, f, self.height / 2], [0, 0, 1.0]])


def make_camera(shot: Shot) -> bpy.types.Object:
    """Add the camera that matches ``shot.intrinsics`` and choose the render settings."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.sensor_width, data.lens = (
        "HORIZONTAL",
        shot.sensor_width_mm,
        shot.focal_mm,
    )
    data.clip_start, data.clip_end = 0.02, 1000.0
    camera = bpy.data.objects.new("camera", data)
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = shot.width, shot.height
    # Persistent data would keep the sample count of the pass rendered before.
    render.use_persistent_data = False
    scene.cycles.device = "CPU"
    scene.cycles.seed = shot.seed
    scene.cycles.max_bounces = 3
    scene.cycles.diffuse_bounces = 2
    scene.cycles.use_fast_gi, scene.cycles.fast_gi_method = shot.quick, "REPLACE"
    scene.cycles.ao_bounces_render = 1
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.sample_clamp_indirect = 4.0
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = shot.exposure
    return camera


def aim(camera: bpy.types.Object, world_from_camera: np.ndarray) -> None:
    """Move Blender's camera (looks along -Z, y up) to an OpenCV pose."""
    camera.matrix_world = Matrix((world_from_camera @ np.diag([1.0, -1.0, -1.0, 1.0])).tolist())
    bpy.context.view_layer.update()


def take_photo(shot: Shot, path: Path, index: int) -> None:
    """Render, add the sensor's noise and write a JPEG with EXIF."""
    scene = bpy.context.scene
    render, cycles = scene.render, scene.cycles
    scene.use_nodes = False
    render.resolution_percentage = 100
    cycles.samples, cycles.use_adaptive_sampling = shot.samples, False
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.5
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    # Albedo and normal tell the denoiser which edges are print and relief, not noise; without
    # motion blur and defocus they are clean as they are, so nothing need smooth them first.
    cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "NONE"
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    render.image_settings.color_depth = "8"
    developed = path.with_suffix(".tmp.png")
    render.filepath = str(developed)
    bpy.ops.render.render(write_still=True)
    with Image.open(developed) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    developed.unlink()
    noisy = expose(pixels, np.random.default_rng([shot.seed, 4, index]))
    extra = {"exif": make_exif(shot, index)} if shot.exif else {}
    Image.fromarray(noisy).save(path, quality=shot.quality, optimize=True, **extra)


def expose(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slight vignetting, shot noise and read noise; in and out 0..255 [height, width, 3]."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot(x - width / 2, y - height / 2) / math.hypot(width / 2, height / 2)
    shaded = pixels * (1 - 0.10 * radius**2)[..., None]
    sigma = 0.7 + 0.09 * np.sqrt(shaded)
    luminance = rng.normal(0, 1, (height, width, 1))
    chroma = rng.normal(0, 1, (height, width, 3))
    noise = sigma * (0.8 * luminance + 0.45 * chroma)
    return np.clip(np.rint(shaded + noise), 0, 255).astype(np.uint8)


def make_exif(shot: Shot, index: int) -> Image.Exif:
    """EXIF as a camera writes it: maker, model, focal length and sensor resolution."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "MV-SAM"
    exif[ExifTags.Base.Model] = "MV-SAM sample"
    exif[ExifTags.Base.Software] = "render_scenes.py"
    exif[ExifTags.Base.Orientation] = 1
    exif[ExifTags.Base.ImageDescription] = f"Rendered {shot.kind}, photo {index}"
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.FocalLength] = IFDRational(round(shot.focal_mm * 10), 10)
    detail[ExifTags.Base.FocalLengthIn35mmFilm] = shot.focal_35mm
    per_cm = shot.width / (shot.sensor_width_mm / 10)
    detail[ExifTags.Base.FocalPlaneXResolution] = IFDRational(round(per_cm * 1000), 1000)
    detail[ExifTags.Base.FocalPlaneYResolution] = IFDRational(round(per_cm * 1000), 1000)
    detail[ExifTags.Base.FocalPlaneResolutionUnit] = 3
    detail[ExifTags.Base.ExifImageWidth] = shot.width
    detail[ExifTags.Base.ExifImageHeight] = shot.height
    return exif


def measure(scratch: Path, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The exact truth seen through pixel centres.

    Args:
        scratch: Existing folder for passing files.
        stride: Depth is sampled once for every so many pixels of the photo, each way.

    Returns:
        Object index, uint8 [height, width], at photo size, and depth in metres, float32
        [height / stride, width / stride]: element (i, j) is what the photo shows at the centre
        of its block of pixels. 0 where there is nothing.
    """
    if stride == 1:
        passes = _render_passes(("IndexOB", "Depth"), scratch, 100)
    else:
        passes = _render_passes(("IndexOB",), scratch, 100)
        passes |= _render_passes(("Depth",), scratch, 100 // stride)
    depth = np.where(passes["Depth"] < FARTHEST, passes["Depth"], 0).astype(np.float32)
    return np.rint(passes["IndexOB"]).astype(np.uint8), depth


def _render_passes(names: tuple[str, ...], scratch: Path, percentage: int) -> dict[str, np.ndarray]:
    """One sample through the centre of each pixel, without filter or denoiser."""
    scene = bpy.context.scene
    cycles = scene.cycles
    scene.render.resolution_percentage = percentage
    cycles.samples, cycles.use_adaptive_sampling, cycles.use_denoising = 1, False, False
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
    layer = bpy.context.view_layer
    layer.use_pass_object_index = layer.use_pass_z = True
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    writer = tree.nodes.new("CompositorNodeOutputFile")
    writer.base_path = str(scratch)
    writer.format.file_format, writer.format.color_depth = "OPEN_EXR", "32"
    writer.format.color_mode = "RGB"
    writer.file_slots.clear()
    for name in names:
        writer.file_slots.new(f"{name}_")
        tree.links.new(layers.outputs[name], writer.inputs[f"{name}_"])
    bpy.ops.render.render(write_still=False)
    return {name: _read_pass(next(scratch.glob(f"{name}_*.exr"))) for name in names}


def _read_pass(path: Path) -> np.ndarray:
    """The first channel of an EXR, first row at the top; the file is removed."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(image.size[0] * image.size[1] * image.channels, dtype=np.float32)
    image.pixels.foreach_get(values)
    plane = values.reshape(image.size[1], image.size[0], image.channels)[::-1, :, 0]
    bpy.data.images.remove(image)
    path.unlink()
    return plane.copy()


def save_masks(folder: Path, view: str, index: np.ndarray, names: dict[str, int]) -> list[str]:
    """Write ``folder/<object>/<view>.png`` for every object, all black where it is hidden.

    Args:
        folder: Where the masks go.
        view: Name of the view.
        index: Object index of each pixel, uint8 [height, width].
        names: Object name to its index.

    Returns:
        Names of the objects in sight.
    """
    seen = []
    for name, number in names.items():
        mask = np.where(index == number, 255, 0).astype(np.uint8)
        path = folder / name / f"{view}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path, optimize=True)
        if mask.any():
            seen.append(name)
    return seen
