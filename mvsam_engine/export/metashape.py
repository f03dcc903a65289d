# SPDX-License-Identifier: GPL-3.0-or-later
"""Metashape: ``cameras.xml`` for File > Import > Import Cameras, and masks for Import Masks.

Convention: as our reader of the same format has it (`reconstruct.posed.formats.metashape`): a
camera's transform is camera-to-chunk with OpenCV axes, cx and cy count from the photo's centre, P1
and P2 are OpenCV's p2 and p1; the chunk's transform carries where the person placed the world.
Cameras are labelled like the photo without its ending, as Metashape labels photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import invert_rigid
from mvsam_engine.errors import CaptureError
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.lens import BrownLens, brown_of
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.selecting import chosen_objects
from mvsam_engine.export.shots import Shot, placed_shots, stage_shot_masks
from mvsam_engine.export.world import World, export_world
from mvsam_engine.progress import Progress


def export_metashape(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write cameras.xml, and ``masks/<photo>_mask.png`` when there are objects.

    Raises:
        MvsamError: no reconstruction, a lens that Metashape does not have, or a failed write.
    """
    items = chosen_objects(capture, options.objects, progress)
    reconstruction = capture.require_reconstruction()
    # The chunk is the reconstruction's world; its transform places it.
    chunk = export_world(reconstruction, "reconstructed", progress)
    placed = export_world(reconstruction, options.frame, Progress())
    shots = placed_shots(capture, options, options.photos or "original", chunk, progress)
    document = cameras_xml(shots, placed)
    with OutputFolder(out, "metashape", options.overwrite) as folder:
        files = [folder.write("cameras.xml", document)]
        if items:
            pattern = "masks/{stem}_mask.png"
            stage_shot_masks(capture, folder, shots, items, options, pattern, progress)
    return files


def cameras_xml(shots: Sequence[Shot], world: World) -> bytes:
    """The document; one sensor for each different camera.

    Raises:
        CaptureError: a lens that Metashape does not have.
    """
    root = ElementTree.Element("document", version="1.5.0")
    chunk = _child(root, "chunk", label="MV-SAM", enabled="true")
    sensors, cameras = _child(chunk, "sensors"), ElementTree.Element("cameras")
    numbers: dict[tuple[BrownLens, int, int], int] = {}
    for index, shot in enumerate(shots):
        lens, size = _checked(shot), (shot.camera.width, shot.camera.height)
        if (lens, *size) not in numbers:
            numbers[(lens, *size)] = len(numbers)
            _sensor(sensors, len(numbers) - 1, lens, size)
        camera = _child(
            cameras,
            "camera",
            id=str(index),
            sensor_id=str(numbers[(lens, *size)]),
            component_id="0",
            label=PurePosixPath(shot.file.stem).name,
        )
        pose = invert_rigid(shot.camera.camera_from_world)
        _child(camera, "transform").text = _numbers(pose.reshape(-1))
    component = _child(_child(chunk, "components"), "component", id="0", active="true")
    chunk.append(cameras)
    if world.metric or not world.placement.is_default:
        transform = _child(component, "transform")
        matrix = world.placement.matrix
        _child(transform, "rotation").text = _numbers(matrix[:3, :3].reshape(-1))
        _child(transform, "translation").text = _numbers(matrix[:3, 3])
        _child(transform, "scale").text = repr(float(world.placement.scale))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _checked(shot: Shot) -> BrownLens:
    lens = brown_of(shot.camera)
    if lens is None or lens.fx <= 0 or lens.fy <= 0:
        raise CaptureError(
            "export.lens",
            f"Metashape has no lens model for {shot.file.name} ({shot.camera.model}, perhaps "
            "mirrored).",
            "Export the masks alone: mvsam export masks --preset metashape.",
        )
    return lens


def _sensor(
    parent: ElementTree.Element, number: int, lens: BrownLens, size: tuple[int, int]
) -> None:
    kind = "fisheye" if lens.fisheye else "frame"
    sensor = _child(parent, "sensor", id=str(number), label=f"camera {number}", type=kind)
    resolution = {"width": str(size[0]), "height": str(size[1])}
    _child(sensor, "resolution", **resolution)
    calibration = _child(sensor, "calibration", type=kind, **{"class": "adjusted"})
    _child(calibration, "resolution", **resolution)
    values = {
        "f": lens.fy,
        "cx": lens.cx - size[0] / 2.0,
        "cy": lens.cy - size[1] / 2.0,
        "b1": lens.fx - lens.fy,
        "b2": lens.skew,
        **{f"k{i}": k for i, k in enumerate(lens.k, start=1)},
        "p1": lens.p[1],
        "p2": lens.p[0],
    }
    for name, value in values.items():
        if value or name == "f":
            _child(calibration, name).text = repr(float(value))


def _child(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _numbers(values: object) -> str:
    return " ".join(repr(float(v)) for v in values)  # type: ignore[attr-defined]
