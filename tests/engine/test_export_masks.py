# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks for other programs: names, polarity, and pixels that fit the person's own files."""

import json

import export_scene as scene
import numpy as np
import pytest
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.errors import Cancelled, SegmentationError, UsageError
from mvsam_engine.export.mask_images import grown
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.photo_files import photo_files, turn_back
from mvsam_engine.export.presets import PRESETS
from mvsam_engine.export.targets import TARGETS, export
from mvsam_engine.photos.decode import turn_upright


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return scene.make(tmp_path_factory.mktemp("masks"), tuple(range(1, 9)))


def run(capture, out, progress=None, **options):
    return export(capture, "masks", out, ExportOptions(**options), progress or scene.Record())


def read(path):
    image = Image.open(path)
    assert image.mode == "L"
    values = np.asarray(image)
    assert set(np.unique(values)) <= {0, 255}
    return values == 255


NAMES = {
    "colmap": "left/IMG_2.JPG.png",
    "metashape": "left/IMG_2_mask.png",
    "realityscan": "left/IMG_2.JPG.mask.png",
    "realitycapture": "left/IMG_2.JPG.mask.png",
    "nerfstudio": "masks/left/IMG_2.png",
    "splat": "masks/left/IMG_2.png",
}


@pytest.mark.parametrize("preset", NAMES)
def test_each_program_gets_its_names_and_polarity(capture, tmp_path, preset):
    files = run(capture, tmp_path, preset=preset)
    assert len(files) == len(capture.photos())
    expected = scene.stored_mask(scene.stored_camera(2))
    white = read(tmp_path / NAMES[preset])
    assert (white == (expected if preset != "realitycapture" else ~expected)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_fit_the_original_files_in_every_orientation(capture, tmp_path, orientation):
    """Pixel by pixel, with the lens' distortion, on the file as a program stores it."""
    index = orientation - 1
    run(capture, tmp_path, preset="colmap")
    name = f"left/{scene.view_of(index)}.JPG"
    mask = read(tmp_path / f"{name}.png")
    stored = Image.open(capture.root.parent / "photos" / name)  # EXIF is not applied
    assert stored.getexif().get(0x0112) == orientation
    assert mask.shape == (stored.height, stored.width)
    assert (mask == scene.stored_mask(scene.stored_camera(index))).all()
    red = np.asarray(stored).astype(int)[..., 0] > np.asarray(stored)[..., 2]
    assert (mask == red).mean() > 0.98  # what the photo itself shows; JPEG blurs its edges


def test_colmap_finds_features_only_where_its_masks_are_white(tmp_path):
    """COLMAP's own reader, on a photo that EXIF turns by a quarter."""
    import pycolmap

    photos, masks = tmp_path / "photos", tmp_path / "masks"
    photos.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((360, 240), Image.Resampling.BICUBIC)
    picture.save(photos / "a.jpg", exif=exif)
    from mvsam_engine.capture import Camera, Pointmap, Reconstruction
    from mvsam_engine.photos import add_photos

    capture = Capture.create(tmp_path / "capture")
    upright = np.zeros((360, 240), bool)
    upright[:120] = True
    camera = Camera("a", "PINHOLE", 240, 360, (300.0, 300.0, 120.0, 180.0), np.eye(4))
    with capture.writing():
        add_photos(capture, [photos], scene.Record())
        with capture.transaction() as transaction:
            none = np.ones((9, 6, 3), np.float32)
            maps = Pointmap("a", none, none[..., 0].astype(np.float16), none.astype(np.uint8))
            capture.put_pointmap(maps, transaction)
            capture.put_reconstruction(Reconstruction((camera,)), transaction)
        scene.put_object(capture, "top", "top", {"a": upright})
    run(capture, masks, preset="colmap")
    database = tmp_path / "db.db"
    reader = pycolmap.ImageReaderOptions(mask_path=str(masks))
    pycolmap.extract_features(database, photos, reader_options=reader, device=pycolmap.Device.cpu)
    with pycolmap.Database.open(database) as opened:
        keypoints = opened.read_keypoints(1)[:, :2]
    assert len(keypoints) > 50
    # The top of the upright photo is the left of the stored one.
    assert keypoints[:, 0].max() <= 120
    assert keypoints[:, 1].max() > 200


def test_removing_objects_keeps_everything_else(capture, tmp_path):
    progress = scene.Record()
    run(capture, tmp_path, progress, preset="colmap", remove=True)
    assert (read(tmp_path / NAMES["colmap"]) == ~scene.stored_mask(scene.stored_camera(2))).all()
    assert read(tmp_path / "left/lost.JPG.png").all()
    assert "hide nothing" in progress.warnings["export.unplaced"]


def test_photos_without_the_object_as_asked(capture, tmp_path):
    for absent, expected in (("blank", False), ("full", True)):
        run(capture, tmp_path / absent, preset="colmap", absent=absent)
        assert (read(tmp_path / absent / "left/lost.JPG.png") == expected).all()
    progress = scene.Record()
    run(capture, tmp_path / "skip", progress, preset="nerfstudio", absent="skip")
    assert not (tmp_path / "skip/masks/left/lost.png").exists()
    assert "export.whole" in progress.warnings


def test_union_inversion_and_margin(capture, tmp_path):
    other = {c.view: np.zeros((c.height, c.width), bool) for c in _cameras(capture)}
    for mask in other.values():
        mask[:10, :10] = True
    with capture.writing():
        scene.put_object(capture, "corner", "Corner", other)
    try:
        files = run(capture, tmp_path / "b", union=True, dilate=3)
        white = read(tmp_path / "b/union/IMG_0.png")
        mug = scene.stored_mask(scene.stored_camera(0))
        expected = grown(mug | other["IMG_0"], 3)
        assert (white == expected).all()
        assert len(files) == len(capture.photos())
        run(capture, tmp_path / "c", union=True, dilate=3, invert=True)
        assert (read(tmp_path / "c/union/IMG_0.png") == ~expected).all()
        run(capture, tmp_path / "d", objects=("Corner",), preset="colmap")
        assert read(tmp_path / "d/left/IMG_0.JPG.png").sum() == 100
    finally:
        with capture.writing(), capture.transaction() as transaction:
            capture.delete_object("corner", transaction)


def _cameras(capture):
    return capture.require_reconstruction().cameras


def test_growing_is_by_the_exact_distance():
    point = np.zeros((21, 21), bool)
    point[10, 10] = True
    rows, columns = np.mgrid[0:21, 0:21] - 10
    for pixels in (1, 4, 7):
        assert (grown(point, pixels) == (np.hypot(rows, columns) <= pixels)).all()
    disc = np.hypot(rows, columns) <= 8
    assert (grown(disc, -3) <= (np.hypot(rows, columns) <= 5.5)).all()
    assert grown(disc, -3).sum() > 50
    half = np.zeros((20, 20), bool)
    half[:, :10] = True
    assert grown(half, -4).sum() == 20 * 6  # the photo's border does not eat in


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_back_undoes_what_intake_does(orientation):
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6)
    upright = np.asarray(turn_upright(Image.fromarray(stored), orientation))
    assert (turn_back(upright, orientation) == stored).all()


def test_pixels_that_the_photo_mask_ignores_stay_ignored(tmp_path):
    capture = scene.make(tmp_path / "s", (1, 6))
    masks = tmp_path / "masks"
    masks.mkdir()
    used = np.full((scene.HEIGHT, scene.WIDTH), 255, np.uint8)
    used[:, :30] = 0
    Image.fromarray(used).save(masks / "IMG_1.png")  # as the file stores it
    from mvsam_engine.photos import IntakeOptions, add_photos

    with capture.writing():
        add_photos(capture, [], scene.Record(), IntakeOptions(masks=masks))
    run(capture, tmp_path / "out", preset="colmap", remove=True)
    expected = ~scene.stored_mask(scene.stored_camera(1)) & (used > 0)
    assert (read(tmp_path / "out/left/IMG_1.JPG.png") == expected).all()


def test_two_photos_of_one_name_do_not_overwrite_each_other(capture):
    photos = [p for p in capture.photos() if p.view in ("IMG_0", "IMG_1")]
    from dataclasses import replace

    twins = [replace(p, original_name="DSC 1.jpg") for p in photos]
    progress = scene.Record()
    files = photo_files(twins, "original", progress)
    assert [f.name for f in files] == ["DSC 1.jpg", "IMG_1.jpg"]
    assert "DSC 1.jpg" in progress.warnings["export.renamed"]
    odd = replace(photos[0], original_name="../../etc/con.jpg")
    (file,) = photo_files([odd], "original", progress)
    assert file.name == "etc/_con.jpg"


def test_what_is_asked_for_and_not_there_is_refused_with_what_is(capture, tmp_path):
    for options, error, words in (
        ({"objects": ("Cup",)}, SegmentationError, "'Mug 1'"),
        ({"preset": "photoshop"}, UsageError, "metashape, realityscan"),
        ({"absent": "maybe"}, UsageError, "blank, full, skip"),
        ({"dilate": 9999}, UsageError, "500"),
        ({"photos": "mine"}, UsageError, "original, upright"),
    ):
        with pytest.raises(error, match=words):
            run(capture, tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=", ".join(TARGETS)):
        export(capture, "obj", tmp_path / "out", ExportOptions(), scene.Record())
    with pytest.raises(UsageError, match="no presets"):
        export(capture, "ply", tmp_path / "out", ExportOptions(preset="colmap"), scene.Record())


def test_a_cancelled_export_leaves_nothing(capture, tmp_path):
    with pytest.raises(Cancelled):
        run(capture, tmp_path / "new", scene.Record(cancel_after=3), preset="colmap")
    assert not (tmp_path / "new").exists()
    run(capture, tmp_path / "old", preset="colmap")
    before = {p: p.read_bytes() for p in (tmp_path / "old").rglob("*") if p.is_file()}
    with pytest.raises(Cancelled):
        run(capture, tmp_path / "old", scene.Record(cancel_after=3), preset="colmap", invert=True)
    after = {p: p.read_bytes() for p in (tmp_path / "old").rglob("*") if p.is_file()}
    assert after == before


def test_other_peoples_folders_are_refused_unless_allowed(capture, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "holiday.txt").write_text("keep me")
    with pytest.raises(UsageError, match=r"holiday\.txt"):
        run(capture, out, preset="colmap")
    assert [p.name for p in out.iterdir()] == ["holiday.txt"]
    run(capture, out, preset="colmap", overwrite=True)
    assert (out / "holiday.txt").read_text() == "keep me"
    assert (out / "left/IMG_0.JPG.png").is_file()
    with pytest.raises(UsageError, match="masks colmap"):
        export(capture, "coco", out, ExportOptions(), scene.Record())


def test_an_export_takes_the_place_of_the_last_one_of_its_kind(capture, tmp_path):
    run(capture, tmp_path, preset="metashape")
    run(capture, tmp_path, preset="metashape", absent="skip")
    assert not (tmp_path / "left/lost_mask.png").exists()
    manifest = json.loads((tmp_path / "mvsam_export.json").read_text())
    listed = manifest["exports"]["masks metashape"]["union"]
    found = [p.relative_to(tmp_path).as_posix() for p in (tmp_path / "left").iterdir()]
    assert sorted(listed) == sorted(found)
    # Objects that are not exported again keep their masks.
    run(capture, tmp_path / "generic")
    (tmp_path / "generic" / "Mug 1" / "lost.png").unlink()
    run(capture, tmp_path / "generic", union=True)
    assert (tmp_path / "generic" / "Mug 1" / "IMG_0.png").is_file()


def test_every_preset_says_what_to_do_with_its_files():
    for preset in PRESETS.values():
        assert preset.hint.strip()
        assert "{" in preset.pattern
