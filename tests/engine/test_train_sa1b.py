# SPDX-License-Identifier: GPL-3.0-or-later
"""SA-1B: a small folder of its form, whole and broken in every way."""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib

import numpy as np
import pytest
from flat_scenes import CheapEncoder
from PIL import Image

from mvsam_engine import reconstruct
from mvsam_engine.capture import Camera, Capture, Pointmap, Reconstruction
from mvsam_engine.errors import TrainingError, UsageError
from mvsam_engine.progress import Progress
from mvsam_engine.train import sa1b
from mvsam_engine.train.data import load_scenes
from mvsam_engine.train.episodes import EpisodeOptions, episodes
from mvsam_engine.train.folders import damage
from mvsam_engine.train.rle import decode_rle
from mvsam_engine.train.sa1b import Sa1bOptions, check_geometry, make_sa1b_scenes

coco = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")

WIDTH, HEIGHT, FOCAL = 90, 60, 70.0
BESIDE = Sa1bOptions("beside")


def disc(x=45, y=30, radius=18):
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def encoded(mask):
    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": found["size"], "counts": found["counts"].decode()}


def annotation(mask, number):
    return {"id": number, "segmentation": encoded(mask), "bbox": [0, 0, 1, 1], "area": 1}


def points(rows=30, columns=45, depth=3.0):
    """A wall in front of the photo's own camera."""
    v, u = np.mgrid[0:rows, 0:columns] + 0.5
    x = (u * WIDTH / columns - WIDTH / 2) / FOCAL * depth
    y = (v * HEIGHT / rows - HEIGHT / 2) / FOCAL * depth
    return np.stack([x, y, np.full_like(x, depth)], axis=-1).astype(np.float32)


def write_photo(folder, number, masks, **beside):
    name = f"sa_{number}"
    image = np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / f"{name}.jpg")
    data = {
        "image": {
            "image_id": number, "width": WIDTH, "height": HEIGHT, "file_name": f"{name}.jpg",
        },
        "annotations": [annotation(mask, 100 + k) for k, mask in enumerate(masks)],
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(data))
    arrays = {"points": points(), "confidence": np.full((30, 45), 4.0, np.float32), **beside}
    np.savez(folder / f"{name}.npz", **{k: v for k, v in arrays.items() if v is not None})
    return data


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "sa"
    place.mkdir()
    return place


class Warned(Progress):
    """Keeps warnings."""

    def __init__(self):
        super().__init__()
        self.said = []

    def on_warning(self, code, message, remedy):
        self.said.append(message)


def test_photos_become_scenes_of_one_view(folder, tmp_path):
    for number in (2, 10):
        write_photo(folder, number, [disc(), disc(20, 20, 9), disc(70, 40, 1)])
    made = make_sa1b_scenes(folder, tmp_path / "out", BESIDE, CheapEncoder(), Progress())
    assert [scene.name for scene in made] == ["sa_2", "sa_10"]
    scene = made[0]
    assert damage(scene) == ""
    # The third disc is too small to be asked about.
    assert sorted(p.name for p in (scene / "masks").iterdir()) == ["100", "101"]
    stored = np.asarray(Image.open(scene / "masks/100/sa_2.png")) > 0
    np.testing.assert_array_equal(stored, disc())
    capture = Capture.open(scene / "capture")
    (camera,) = capture.require_reconstruction().cameras
    assert camera.param("fx") == pytest.approx(FOCAL, rel=1e-4)
    pointmap = capture.pointmap("sa_2")
    pixels, depth = camera.project(pointmap.points[10, 20].astype(float))
    np.testing.assert_allclose(pixels, [41, 21], atol=0.01)
    assert depth == pytest.approx(3.0)
    assert float(pointmap.confidence[0, 0]) == pytest.approx(0.8, abs=1e-3)  # 4 / (1 + 4)
    loaded = [*load_scenes(made, CheapEncoder(), Progress()).values()]
    drawn = episodes(loaded, np.random.default_rng(0), EpisodeOptions())
    for _, episode in zip(range(10), drawn, strict=False):
        assert episode.rows == (0,)


def test_it_is_made_once_and_only_as_much_as_wanted(folder, tmp_path):
    for number in range(1, 4):
        write_photo(folder, number, [disc(), disc(20, 20, 9)])
    some = Sa1bOptions("beside", most=2, objects=1)
    encoder = CheapEncoder()
    made = make_sa1b_scenes(folder, tmp_path / "out", some, encoder, Progress())
    assert [scene.name for scene in made] == ["sa_1", "sa_2"]
    assert all(len(list((scene / "masks").iterdir())) == 1 for scene in made)
    make_sa1b_scenes(folder, tmp_path / "out", some, encoder, Progress())
    assert encoder.asked == 2


def bomb(path):
    """A PNG of 60000 x 60000 pixels in a few bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )  # fmt: skip


def spoil_points(path, how):
    """A pointmap file that cannot be used, for one reason."""
    if how == "no points":
        path.unlink()
    elif how == "elsewhere":
        moved = points() + np.float32([5, 0, 0])
        np.savez(path, points=moved, confidence=np.ones((30, 45)))
    elif how == "flipped":
        np.savez_compressed(path, points=points(), confidence=points()[..., 2])
        data = bytearray(path.read_bytes())
        data[200:260] = bytes(60)
        path.write_bytes(data)
    elif how == "claims":
        head = "{'descr': '<f4', 'fortran_order': False, 'shape': (900000000, 900000, 3), }"
        member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("points.npy", member)
            archive.writestr("confidence.npy", member)
    elif how == "shape":
        np.savez(path, points=points(), confidence=np.ones((3, 4)))
    elif how == "pickle":
        np.savez(path, points=np.array([{}], object), confidence=np.ones(1))
    elif how == "zip bomb":
        big = np.zeros((2000, 2000, 3))
        np.savez_compressed(path, points=big, confidence=big[..., 0])


def spoiled(folder, number, how):
    """A photo that cannot be used, for one reason."""
    data = write_photo(folder, number, [disc()])
    stem = folder / f"sa_{number}"
    if how == "json":
        stem.with_suffix(".json").write_text('{"image": ')
    elif how == "form":
        stem.with_suffix(".json").write_text('{"image": [], "annotations": 3}')
    elif how == "long id":
        data["annotations"][0]["id"] = 10**300
        stem.with_suffix(".json").write_text(json.dumps(data))
    elif how == "folder":
        stem.with_suffix(".json").unlink()
        stem.with_suffix(".json").mkdir()
    elif how == "no photo":
        stem.with_suffix(".jpg").unlink()
    elif how == "outside":
        data["image"]["file_name"] = "../secret.jpg"
        stem.with_suffix(".json").write_text(json.dumps(data))
    elif how == "bomb":
        bomb(stem.with_suffix(".jpg"))
    elif how == "size":
        Image.new("RGB", (64, 64)).save(stem.with_suffix(".jpg"))
    elif how == "masks":
        data["annotations"][0]["segmentation"]["size"] = [10, 10]
        stem.with_suffix(".json").write_text(json.dumps(data))
    else:
        spoil_points(stem.with_suffix(".npz"), how)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("json", "damaged"),
        ("form", "not of the form of SA-1B"),
        ("long id", "ids that are none"),
        ("folder", "is no file"),
        ("no photo", "is not beside"),
        ("outside", "is not beside"),
        ("bomb", "pixels"),
        ("size", "64 x 64 pixels"),
        ("no points", r"sa_2\.npz is missing"),
        ("elsewhere", "not where its photo shows them"),
        ("shape", r"confidence in sa_2\.npz is"),
        ("pickle", "cannot be read"),
        ("flipped", "cannot be read"),
        ("claims", "cannot be read"),
        ("zip bomb", "more points than"),
        ("masks", "1 masks are left out"),
    ],
)
def test_what_cannot_be_used_is_named_and_the_rest_goes_on(folder, tmp_path, how, why):
    write_photo(folder, 1, [disc()])
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "secret.jpg")
    spoiled(folder, 2, how)
    progress = Warned()
    made = make_sa1b_scenes(folder, tmp_path / "out", BESIDE, CheapEncoder(), progress)
    assert [scene.name for scene in made] == ["sa_1"]
    assert any(re.search(why, said) for said in progress.said), progress.said
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"sa_1", ".lock", "data.json"}


def test_nothing_usable_is_an_error(folder, tmp_path):
    with pytest.raises(TrainingError, match="holds no sa_"):
        make_sa1b_scenes(folder, tmp_path / "out", BESIDE, CheapEncoder(), Progress())
    spoiled(folder, 2, "json")
    with pytest.raises(TrainingError, match="None of the 1 photos"):
        make_sa1b_scenes(folder, tmp_path / "out", BESIDE, CheapEncoder(), Progress())


def test_cameras_that_are_given_are_taken(folder, tmp_path):
    k = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    write_photo(folder, 1, [disc()], intrinsics=k)
    (scene,) = make_sa1b_scenes(folder, tmp_path / "out", BESIDE, CheapEncoder(), Progress())
    (camera,) = Capture.open(scene / "capture").require_reconstruction().cameras
    assert camera.model == "PINHOLE"
    assert camera.params == (FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)


@pytest.mark.parametrize("name", ["classical", "posed", "nothing"])
def test_a_geometry_that_needs_more_than_a_photo_is_refused(name):
    with pytest.raises(UsageError) as caught:
        check_geometry(name)
    assert name in caught.value.message
    assert "Possible: beside" in caught.value.remedy
    assert "sa_N.npz" in caught.value.remedy


def test_runs_are_what_pycocotools_makes_of_them():
    rng = np.random.default_rng(0)
    masks = [disc(), ~disc(), np.zeros((HEIGHT, WIDTH), bool), rng.random((HEIGHT, WIDTH)) > 0.5]
    masks.append(np.repeat(rng.random((HEIGHT, 3)) > 0.5, 30, axis=1))
    for mask in masks:
        np.testing.assert_array_equal(decode_rle(encoded(mask), WIDTH, HEIGHT), mask)
    plain = {"size": [2, 3], "counts": [1, 2, 3]}
    np.testing.assert_array_equal(decode_rle(plain, 3, 2), [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    "counts",
    ["", "o", "c26", "zzzz", "\x00", "é", None, 7, [1, 2], [-1, 7], [True, 5], [6.0], "o" * 40],
)
def test_runs_that_do_not_fill_a_mask_are_refused(counts):
    """pycocotools would fill the rest with whatever the memory held, or write past its end."""
    with pytest.raises(TrainingError, match="do not fill"):
        decode_rle({"size": [2, 3], "counts": counts}, 3, 2)


class Wall:
    """A geometry that places single photos: a wall three metres away."""

    name = "wall"

    def reconstruct(self, capture, options, progress, transaction):
        (photo,) = capture.photos()
        params = (FOCAL, WIDTH / 2, HEIGHT / 2)
        camera = Camera(photo.view, "SIMPLE_PINHOLE", WIDTH, HEIGHT, params, np.eye(4))
        capture.put_pointmap(
            Pointmap(
                photo.view,
                points(),
                np.ones((30, 45), np.float16),
                np.zeros((30, 45, 3), np.uint8),
            ),
            transaction,
        )
        return Reconstruction((camera,), method=self.name)


def test_a_registered_geometry_of_single_photos_can_be_named(folder, tmp_path, monkeypatch):
    known = {**reconstruct.RECONSTRUCTORS, "wall": Wall}
    monkeypatch.setattr(reconstruct, "RECONSTRUCTORS", known)
    monkeypatch.setattr(sa1b, "RECONSTRUCTORS", known)
    write_photo(folder, 1, [disc()])
    (folder / "sa_1.npz").unlink()
    (scene,) = make_sa1b_scenes(
        folder, tmp_path / "out", Sa1bOptions("wall"), CheapEncoder(), Progress()
    )
    reconstruction = Capture.open(scene / "capture").require_reconstruction()
    assert reconstruction.method == "wall"
    assert damage(scene) == ""
    with pytest.raises(UsageError) as caught:
        check_geometry("classical")
    assert "beside, " in caught.value.remedy and ", wall" in caught.value.remedy
