# SPDX-License-Identifier: GPL-3.0-or-later
"""RealityScan: an XMP with the camera and a mask for each photo, to lie beside the photos.

Convention: as our reader of the same format has it (`reconstruct.posed.formats.realityscan`):
rotation camera-from-world with OpenCV axes by rows, position of the camera, focal length in
millimetres of a 36 mm long side, principal point from the centre in long sides. A pose is
``initial``: the program may improve it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.lens import BrownLens, brown_of
from mvsam_engine.export.masks import stage_masks
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.photo_files import photo_files
from mvsam_engine.export.selecting import chosen_objects
from mvsam_engine.export.shots import Shot, placed_shots
from mvsam_engine.export.world import export_world
from mvsam_engine.progress import Progress

_FILM = 36.0
# Pixels that differ by less than this share from squares count as squares.
_SQUARE = 1e-3


def export_realityscan(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write ``<photo>.xmp`` for placed photos, and masks when there are objects.

    Raises:
        MvsamError: no reconstruction, no lens that the format knows and no objects, or a failed
            write.
    """
    items = chosen_objects(capture, options.objects, progress)
    which = options.photos or "original"
    world = export_world(capture.require_reconstruction(), options.frame, progress)
    shots = placed_shots(capture, options, which, world, progress)
    documents = {shot.file.stem: xmp(shot) for shot in shots}
    refused = [stem for stem, document in documents.items() if document is None]
    if refused:
        progress.warn(
            "export.lens",
            f"RealityScan's XMP cannot hold the lens of {len(refused)} photos, such as "
            f"{refused[0]}: they get no XMP and are aligned anew.",
        )
    with OutputFolder(out, "realityscan", options.overwrite) as folder:
        files = [
            folder.write(f"{stem}.xmp", document.encode())
            for stem, document in documents.items()
            if document is not None
        ]
        if items:
            preset = replace(options, preset="realityscan")
            all_files = photo_files(capture.photos(), which, Progress())
            files += stage_masks(capture, folder, items, all_files, preset, progress)
    return files


def xmp(shot: Shot) -> str | None:
    """The XMP of a photo; None when the format has no such lens."""
    lens = brown_of(shot.camera)
    if lens is None or lens.fisheye or lens.skew or lens.fx <= 0 or lens.fy <= 0:
        return None
    if abs(lens.fx / lens.fy - 1.0) > _SQUARE:
        return None
    matrix = shot.camera.camera_from_world
    rotation = " ".join(repr(float(v)) for v in matrix[:3, :3].reshape(-1))
    position = " ".join(repr(float(v)) for v in shot.camera.center)
    long_side = max(shot.camera.width, shot.camera.height)
    focal = _FILM * 0.5 * (lens.fx + lens.fy) / long_side
    u = (lens.cx - shot.camera.width / 2.0) / long_side
    v = (lens.cy - shot.camera.height / 2.0) / long_side
    kind, values = _distortion(lens)
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
  <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#"
        xcr:Version="3" xcr:PosePrior="initial" xcr:Coordinates="absolute"
        xcr:DistortionModel="{kind}" xcr:FocalLength35mm="{focal!r}" xcr:Skew="0"
        xcr:AspectRatio="1" xcr:PrincipalPointU="{u!r}" xcr:PrincipalPointV="{v!r}"
        xcr:CalibrationPrior="initial" xcr:CalibrationGroup="-1" xcr:DistortionGroup="-1"
        xcr:InTexturing="1" xcr:InMeshing="1">
      <xcr:Rotation>{rotation}</xcr:Rotation>
      <xcr:Position>{position}</xcr:Position>
      <xcr:DistortionCoeficients>{values}</xcr:DistortionCoeficients>
    </rdf:Description>
  </rdf:RDF>
</x:xmpmeta>
"""


def _distortion(lens: BrownLens) -> tuple[str, str]:
    """The model that has what the lens needs, and k1 k2 k3 k4 t1 t2."""
    k1, k2, k3, k4 = lens.k
    kind = "perspective"
    if any(lens.k) or any(lens.p):
        kind = f"brown{4 if k4 else 3}{'t2' if any(lens.p) else ''}"
    values = (k1, k2, k3, k4, lens.p[1], lens.p[0])
    return kind, " ".join(repr(float(v)) for v in values)
