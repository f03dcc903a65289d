# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up scenes as captures with true masks: the form in which all training data comes.

A scene is a folder with ``capture/`` (photos, cameras, pointmaps, cached features, as any capture)
and ``masks/<object>/<view>.png`` (255 = object, black where it is not seen; none where it is not
known).
Real captures with masks of any origin have the same form, so they train the network as well.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Capture, Photo, Pointmap, Reconstruction
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.capture.files import write_atomic
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.train.scenes.cameras import walk_around
from mvsam_engine.train.scenes.held_out import HELD_OUT
from mvsam_engine.train.scenes.render import Photograph, Studio
from mvsam_engine.train.scenes.shapes import SHAPES
from mvsam_engine.train.scenes.textures import Patches
from mvsam_engine.train.scenes.world import World, make_world

# Things that cover less than this share of every photo are not asked about.
LEAST_AREA = 0.002
DONE = "scene.done"


@dataclass(frozen=True, slots=True)
class SceneOptions:
    """How made-up scenes are photographed.

    Attributes:
        views: photos of each.
        width: of the photos, pixels.
        height: of the photos, pixels.
        things: how many things are tried to be placed.
        rays_per_side: root of the number of rays for a pixel's colour.
        step: degrees between neighbouring photos; None for anything from dense to very wide.
        held_out: things of kinds that training never has (`scenes.held_out`).
    """

    views: int = 10
    width: int = 512
    height: int = 384
    things: int = 9
    rays_per_side: int = 2
    step: float | None = None
    held_out: bool = False


def make_scene_folder(
    folder: Path, seed: int, patches: Patches, options: SceneOptions, progress: Progress
) -> Path:
    """Write one scene; does nothing when the folder holds it already.

    Args:
        folder: of the scene; made.
        seed: decides everything in it.
        patches: gives textures.
        options: how it is photographed.
        progress: counts photos.

    Returns:
        `folder`.
    """
    if (folder / DONE).is_file():
        return folder
    shapes = HELD_OUT if options.held_out else SHAPES
    world = make_world(seed, patches, options.things, shapes)
    studio = Studio(world)
    cameras = walk_around(world, options.views, options.width, options.height, seed, options.step)
    progress.stage(f"Scene {seed}", len(cameras))
    taken: list[Photograph] = []
    for number, camera in enumerate(cameras):
        taken.append(studio.photograph(camera, options.rays_per_side, seed=1000 * seed + number))
        progress.step()
    _write_capture(folder, taken)
    _write_masks(folder / "masks", world, taken)
    write_atomic(folder / DONE, f"seed {seed}\n".encode())
    return folder


def _write_capture(folder: Path, taken: list[Photograph]) -> None:
    originals = folder / "originals"
    originals.mkdir(parents=True, exist_ok=True)
    for photo in taken:
        path = originals / f"{photo.camera.view}.jpg"
        Image.fromarray(photo.colors).save(path, quality=92, subsampling=0)
    capture = Capture.create(folder / "capture")
    with capture.writing():
        records = add_photos(capture, [originals], Progress())
        by_view: dict[str, Photo] = {record.view: record for record in records}
        with capture.transaction() as transaction:
            reconstruction = Reconstruction(
                cameras=tuple(p.camera for p in taken if p.camera.view in by_view),
                method="rendered",
                metric=True,
                upright=True,
            )
            capture.put_reconstruction(reconstruction, transaction)
            for photo in taken:
                capture.put_pointmap(exact_pointmap(photo), transaction)
    for path in originals.iterdir():  # the capture has its own copies
        path.unlink()
    originals.rmdir()


def exact_pointmap(photo: Photograph) -> Pointmap:
    """The true pointmap of a photograph at half its size, sure of every point."""
    camera = photo.camera
    rows, columns = camera.height // 2, camera.width // 2
    pixels = grid_pixels(rows, columns, camera.width, camera.height)
    # The depth of the pixel just below and right of each cell's centre.
    depth = photo.depth[1::2, 1::2][:rows, :columns]
    points = camera.unproject(pixels, depth).astype(np.float32)
    points[depth <= 0] = np.nan
    return Pointmap(
        view=camera.view,
        points=points,
        confidence=(depth > 0).astype(np.float16),
        colors=np.ascontiguousarray(photo.colors[1::2, 1::2][:rows, :columns]),
    )


def _write_masks(folder: Path, world: World, taken: list[Photograph]) -> None:
    """Masks of every thing, and of every part of things with several, that some photo shows."""
    for name, mask_of in _objects(world):
        masks = {photo.camera.view: mask_of(photo) for photo in taken}
        if max(mask.mean() for mask in masks.values()) < LEAST_AREA:
            continue
        for view, mask in masks.items():
            buffer = io.BytesIO()
            Image.fromarray((mask * 255).astype(np.uint8)).save(buffer, "PNG")
            write_atomic(folder / name / f"{view}.png", buffer.getvalue())


MaskOf = Callable[[Photograph], NDArray[np.bool_]]


def _objects(world: World) -> list[tuple[str, MaskOf]]:
    """Name of each object and what shows it: things, then parts of things with several."""
    found: list[tuple[str, MaskOf]] = []
    for number, kind in enumerate(world.names[1:], start=1):
        found.append((f"{number:02d}_{kind}", lambda photo, n=number: photo.things == n))
        parts = [i for i, part in enumerate(world.parts) if part.thing == number]
        if len(parts) > 1:
            for k, index in enumerate(parts):
                name = f"{number:02d}_{kind}_part{k}"
                found.append((name, lambda photo, i=index: photo.parts == i + 1))
    return found
