# SPDX-License-Identifier: GPL-3.0-or-later
"""Agisoft Metashape: File > Export > Export Cameras, "Agisoft XML".

Convention: camera transforms are camera-to-chunk with OpenCV axes; a component's (in older files
the chunk's) transform carries chunk coordinates into the world as ``scale * R @ X + t``. Pixels
have their origin at the photo's corner; cx, cy count from the photo's centre; P1, P2 are OpenCV's
p2, p1. Formulas: Metashape user manual, appendix "Camera models":
``u = w/2 + cx + x f + x B1 + y B2``, ``v = h/2 + cy + y f``; a fisheye is equidistant.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto
from mvsam_engine.reconstruct.posed.formats.common import (
    Matrix,
    damaged,
    from_world,
    make_camera,
    number,
    numbers,
    rotation,
    sentence_of,
    slashes,
    unknown_lens,
)
from mvsam_engine.reconstruct.posed.formats.xml import text_of

NAME = "Metashape XML"

_LENSES = {"frame": "MVSAM_BROWN", "fisheye": "MVSAM_BROWN_FISHEYE"}
_UNREAD = ("p3", "p4")
# Nearer than this to the Earth's centre (metres) no photo was taken: such coordinates are local.
_EARTH = 6.2e6


@dataclass(frozen=True, slots=True)
class _Sensor:
    model: str
    size: tuple[int, int]
    params: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Similarity:
    """``X_world = scale * rotation @ X_chunk + translation``."""

    rotation: Matrix
    translation: Matrix
    scale: float

    @property
    def says_nothing(self) -> bool:
        """Whether it is the identity, which is written where nothing is known."""
        turned = not np.allclose(self.rotation, np.eye(3), atol=1e-9)
        return not turned and not self.translation.any() and self.scale == 1.0


@dataclass(frozen=True, slots=True)
class _Aligned:
    """A camera element that has a transform, as text."""

    label: str
    sensor: str
    component: str
    transform: str


def is_metashape(root: Element) -> bool:
    """Whether `root` is a document of cameras by Metashape (or PhotoScan)."""
    return root.tag == "document" and root.find("chunk") is not None


def read(path: Path, root: Element) -> CameraSet:
    """Read the first chunk with cameras.

    Raises:
        ReconstructionError: damaged, nothing aligned, or a lens that is not read.
    """
    where = path.name
    chunk = next((c for c in root.iter("chunk") if c.find("cameras") is not None), None)
    if chunk is None:
        raise damaged(where, "has no chunk with cameras")
    aligned, unaligned, disabled = _listed(chunk)
    if not aligned:
        raise damaged(
            where,
            f"holds no aligned photo ({len(unaligned)} are not aligned, {len(disabled)} disabled)",
            "Align the photos in Metashape first, then export the cameras.",
        )
    worlds = _worlds(where, chunk, {camera.component for camera in aligned})
    component, kept = _in_one_world(aligned, worlds)
    elements = {s.get("id", ""): s for s in chunk.iter("sensor")}
    sensors = {
        camera.sensor: _sensor(where, camera.label, elements.get(camera.sensor)) for camera in kept
    }
    photos = tuple(
        _photo(where, camera, sensors[camera.sensor], worlds.get(camera.component))
        for camera in kept
    )
    chosen = {camera.component for camera in kept}
    apart = [camera.label for camera in aligned if camera.component not in chosen]
    placed = component in worlds
    return CameraSet(
        format=NAME,
        photos=photos,
        metric=placed,
        upright=placed and not _is_geocentric(chunk, photos),
        remarks=(
            *sentence_of(unaligned, "not aligned in Metashape"),
            *sentence_of(disabled, "disabled in Metashape"),
            *sentence_of(apart, "in other components, with coordinates of their own"),
        ),
    )


def _listed(chunk: Element) -> tuple[list[_Aligned], list[str], list[str]]:
    """Cameras with a transform, and the labels of those without and of those disabled."""
    aligned: list[_Aligned] = []
    unaligned: list[str] = []
    disabled: list[str] = []
    for element in chunk.iterfind("cameras//camera"):
        label = slashes(element.get("label", ""))
        transform = text_of(element, "transform")
        if element.get("enabled", "true").lower() in ("false", "0"):
            disabled.append(label)
        elif transform is None or not label:
            unaligned.append(label)
        else:
            sensor, component = element.get("sensor_id", ""), element.get("component_id", "")
            aligned.append(_Aligned(label, sensor, component, transform))
    return aligned, unaligned, disabled


def _worlds(where: str, chunk: Element, components: set[str]) -> dict[str, _Similarity]:
    """Transform into the world of each component that has one."""
    found = {
        element.get("id", ""): _similarity(where, element.find("transform"))
        for element in chunk.iter("component")
    }
    worlds = {name: world for name, world in found.items() if world and not world.says_nothing}
    whole = _similarity(where, chunk.find("transform"))
    # Files from before there were components have one transform for all.
    if not worlds and len(components) == 1 and whole and not whole.says_nothing:
        return dict.fromkeys(components, whole)
    return worlds


def _in_one_world(
    aligned: list[_Aligned], worlds: dict[str, _Similarity]
) -> tuple[str, list[_Aligned]]:
    """A component of the kept cameras, and the cameras that share its coordinates.

    Components with a transform share the world's; each other one has its own.
    """
    placed = [camera for camera in aligned if camera.component in worlds]
    counts = Counter(camera.component for camera in aligned if camera.component not in worlds)
    largest, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if len(placed) >= count:
        return placed[0].component, placed
    return largest, [camera for camera in aligned if camera.component == largest]


def _sensor(where: str, label: str, element: Element | None) -> _Sensor:
    if element is None:
        raise damaged(where, f"names no sensor for {label}")
    calibrations = element.findall("calibration")
    adjusted = [c for c in calibrations if c.get("class") == "adjusted"]
    calibration = next(iter(adjusted or calibrations), None)
    if calibration is None:
        raise damaged(where, f"holds no calibration for {label}", "Align the photos first.")
    kind = calibration.get("type") or element.get("type") or "frame"
    model = _LENSES.get(kind)
    if model is None or element.get("type", kind) not in _LENSES:
        raise unknown_lens(where, label, element.get("type", kind), tuple(_LENSES))
    resolution = calibration.find("resolution")
    resolution = resolution if resolution is not None else element.find("resolution")
    if resolution is None:
        raise damaged(where, f"does not say how large {label} is")
    width = round(number(where, resolution.get("width"), "a photo's width"))
    height = round(number(where, resolution.get("height"), "a photo's height"))

    def value(name: str) -> float:
        text = text_of(calibration, name)
        return 0.0 if text is None else number(where, text, f"{name} of the lens")

    if text_of(calibration, "fx") is not None or any(value(name) for name in _UNREAD):
        raise unknown_lens(
            where, label, "of PhotoScan before 1.2, or with p3 and p4", tuple(_LENSES)
        )
    focal = number(where, text_of(calibration, "f"), "the focal length")
    centre = (width / 2.0 + value("cx"), height / 2.0 + value("cy"))
    radial = tuple(value(name) for name in ("k1", "k2", "k3", "k4"))
    params = (focal + value("b1"), focal, *centre, value("b2"), *radial, value("p2"), value("p1"))
    return _Sensor(model, (width, height), params)


def _similarity(where: str, element: Element | None) -> _Similarity | None:
    """A transform into the world; None when absent or not set."""
    if element is None or not any(text_of(element, n) for n in ("rotation", "translation")):
        return None
    what = "the chunk's"
    turn, shift, scale = (text_of(element, n) for n in ("rotation", "translation", "scale"))
    factor = 1.0 if scale is None else number(where, scale, f"{what} scale")
    if factor <= 0:
        raise damaged(where, f"has {factor} for {what} scale")
    matrix = np.eye(3) if turn is None else numbers(where, turn, 9, f"{what} rotation")
    translation = np.zeros(3) if shift is None else numbers(where, shift, 3, f"{what} translation")
    return _Similarity(rotation(where, matrix.reshape(3, 3), "the chunk"), translation, factor)


def _photo(where: str, camera: _Aligned, sensor: _Sensor, world: _Similarity | None) -> PosedPhoto:
    label = camera.label
    transform = numbers(where, camera.transform, 16, f"the transform of {label}").reshape(4, 4)
    turn, center = rotation(where, transform[:3, :3], label), transform[:3, 3]
    if world is not None:
        turn = world.rotation @ turn
        center = world.scale * (world.rotation @ center) + world.translation
    pose = from_world(turn.T, center)
    return PosedPhoto(
        label, make_camera(where, label, sensor.model, sensor.size, sensor.params, pose)
    )


def _is_geocentric(chunk: Element, photos: tuple[PosedPhoto, ...]) -> bool:
    """Whether the world is the Earth's: x, y, z from its centre, where +Z is not up.

    Metashape computes so in every coordinate system but a local one.
    """
    reference = (text_of(chunk, "reference") or "").strip()
    if reference and not reference.startswith("LOCAL_CS"):
        return True
    centers = np.array([photo.camera.center for photo in photos])
    return bool(np.linalg.norm(centers.mean(axis=0)) > _EARTH)
