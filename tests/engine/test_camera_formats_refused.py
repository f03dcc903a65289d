# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of cameras that are damaged, hostile or something else: refused in a sentence, always."""

import json
import os
import random
import struct

import numpy as np
import pycolmap
import pytest
from camera_files import (
    NAMES,
    SHOTS,
    csv_text,
    metashape_text,
    opencv_csv_text,
    opensfm_text,
    transforms_text,
    write_bundle,
    write_colmap,
    write_xmps,
    xmp_text,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.cameras import read_cameras
from mvsam_engine.reconstruct.posed.formats.colmap_check import PARAMETERS

NERF = {"fl_x": 700.0, "fl_y": 690.0, "cx": 410.0, "cy": 290.0, "w": 800, "h": 600}
LENS = ("OPENCV", (700.0, 690.0, 410.0, 290.0, -0.1, 0.02, 0.001, -0.002))

# Name of the file, its whole text.
WHOLE = {
    "metashape": ("cameras.xml", metashape_text()),
    "csv": ("registration.csv", csv_text()),
    "opencv csv": ("opencv.csv", opencv_csv_text()),
    "xmp": ("a.xmp", xmp_text(SHOTS[0])),
    "transforms": ("transforms.json", transforms_text(NERF)),
    "opensfm": ("reconstruction.json", opensfm_text({"focal": 0.9})),
}


def refused(path):
    """The error of reading `path`, which must be a sentence with a remedy or a hint."""
    with pytest.raises(ReconstructionError) as caught:
        read_cameras(path)
    error = caught.value
    assert error.code.startswith("cameras.")
    assert error.message.endswith((".", ").")), error.message
    assert len(error.message) < 400
    assert "Traceback" not in str(error)
    return error


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def survives(path):
    """Read `path`: cameras that can be used, or a sentence."""
    try:
        cameras = read_cameras(path)
    except ReconstructionError as error:
        assert error.message
        return
    assert cameras.photos
    for posed in cameras.photos:
        assert np.isfinite(posed.camera.params).all()
        assert np.isfinite(posed.camera.camera_from_world).all()
    assert np.isfinite(cameras.points).all()
    assert len(cameras.seen_by) == len(cameras.seen_point)
    if len(cameras.seen_by):
        assert cameras.seen_by.max() < len(cameras.photos)
        assert cameras.seen_point.max() < len(cameras.points)


# -- what is no file of cameras --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "hello\n", "Read are: COLMAP"),
        ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", "Read are: COLMAP"),
        ("empty.xml", "", "not a file of cameras"),
        ("a.json", "{}", "JSON without frames"),
        ("a.json", "[1, 2]", "JSON without frames"),
        ("a.xml", "<BlocksExchange/>", "'BlocksExchange'"),
        ("a.nvm", "NVM_V3\n\n3\n", "Bundler"),
        ("a.psx", "x", "Export Cameras"),
        ("a.psx", "<document path='x'/>", "'document'"),
        ("database.db", "SQLite format 3", "sparse/0"),
        ("a.csv", "name,x,y\n1,2,3\n", "not a file of cameras"),
        ("a.csv", "\xff\xfe".encode("latin-1") + b"\x00\x01\x02", "not a file of cameras"),
        ("a.csv", b"name\xff\xfa\n", "no UTF-8"),
    ],
)
def test_files_that_hold_no_cameras(tmp_path, name, content, words):
    assert words in str(refused(write(tmp_path, name, content)))


def test_what_is_not_there(tmp_path):
    assert "does not exist" in str(refused(tmp_path / "none.xml"))
    assert "no cameras in" in str(refused(tmp_path))
    (tmp_path / "a.xmp").write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    assert "None of 1 XMP files" in str(refused(tmp_path))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind here")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path, *WHOLE["csv"])
    path.chmod(0)
    assert "Permission denied" in str(refused(path))


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.json", b"{"),
        ("a.xml", b"<document>"),
        ("a.csv", b"#name,x,y,alt,heading,pitch,roll,f\n"),
        ("bundle.out", b"# Bundle file v0.3\n"),
    ],
)
def test_huge_files_are_refused_unread(tmp_path, name, head):
    path = write(tmp_path, name, head * 20)
    with path.open("r+b") as file:
        file.truncate(3 << 30)  # holds no blocks: nothing is written
    assert refused(path).code == "cameras.huge"


# -- hostile ---------------------------------------------------------------------------------

BOMB = (
    "<?xml version='1.0'?><!DOCTYPE b [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12))
    + "]><document><chunk><cameras><camera label='&a11;'/></cameras></chunk></document>"
)
OUTSIDE = (
    "<!DOCTYPE b [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    "<document><chunk><cameras><camera label='&x;'/></cameras></chunk></document>"
)


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "<!DOCTYPE a><document/>"])
def test_entities_are_refused(tmp_path, text):
    assert "document type or entities" in str(refused(write(tmp_path, "a.xml", text)))


def test_deep_nesting_is_refused(tmp_path):
    deep = "<a>" * 100_000 + "</a>" * 100_000
    assert "deep" in str(refused(write(tmp_path, "a.xml", deep)))
    refused(write(tmp_path, "a.json", "[" * 100_000 + "]" * 100_000))
    refused(write(tmp_path, "b.json", '{"frames":' + "[" * 100_000))


# -- wrong values ----------------------------------------------------------------------------


def edited(data, path, value):
    """`data` (JSON) with the item at `path` replaced."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = edited(copy[path[0]], path[1:], value) if path[1:] else value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["frames"], [], "no frames"),
        (["frames", 0], 7, "not a JSON object"),
        (["frames", 0, "file_path"], 7, "not text"),
        (["frames", 0, "transform_matrix"], [[1, 2], [3, 4]], "2 rows"),
        (["frames", 0, "transform_matrix", 0], [1, 2], "4 finite numbers"),
        (["frames", 0, "transform_matrix", 0, 0], "x", "4 finite numbers"),
        (["frames", 0, "transform_matrix", 0, 3], 10**400, "finite"),
        (["frames", 0, "transform_matrix"], np.eye(4).tolist()[::-1], "not a rotation"),
        (["frames", 0, "transform_matrix"], np.diag([1.0, 1, -1, 1]).tolist(), "handedness"),
        (["frames", 0, "transform_matrix"], (np.eye(4) * 2).tolist(), "not a rotation"),
        (["frames", 0, "transform_matrix"], np.zeros((4, 4)).tolist(), "not a rotation"),
        (["fl_x"], 0, "focal length 0"),
        (["fl_x"], None, "focal"),
        (["fl_x"], "700", "not a finite number"),
        (["w"], 0, "0 x 600 pixels"),
        (["w"], 1e12, "pixels"),
        (["camera_model"], "EQUIRECTANGULAR", "'EQUIRECTANGULAR'"),
        (["camera_model"], 3, "not text"),
        (["k1"], True, "not a finite number"),
    ],
)
def test_transforms_with_wrong_values(tmp_path, path, value, words):
    data = json.loads(transforms_text({**NERF, "camera_model": "OPENCV", "k1": 0.1}))
    data = edited(data, path, value)
    text = json.dumps(data).replace("Infinity", "1e999")
    assert words in str(refused(write(tmp_path, "transforms.json", text)))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_know(tmp_path, constant):
    text = transforms_text(NERF).replace("700.0", constant)
    assert "is no number" in str(refused(write(tmp_path, "transforms.json", text)))


def test_angles_of_view_that_no_lens_has(tmp_path):
    for angle in (0, -1, 3.2):
        text = transforms_text({"camera_angle_x": angle})
        assert "angle of view" in str(refused(write(tmp_path, "transforms.json", text)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<f>700.0</f>", "<f>0</f>", "focal length 0"),
        ("<f>700.0</f>", "<f>nan</f>", "'nan' for the focal length"),
        ("<f>700.0</f>", "", "nothing for the focal length"),
        ("<k1>-0.08</k1>", "<k1>x</k1>", "'x' for k1"),
        ("<k1>-0.08</k1>", "<p3>0.5</p3>", "p3"),
        ("type='frame'", "type='spherical'", "'spherical'"),
        ("sensor_id='0'", "sensor_id='5'", "no sensor for"),
        ("<resolution width='800' height='600'/>", "", "how large"),
        ("<transform>", "<transform>1 ", "17 numbers"),
        ("<transform>", "<x>", "whole XML"),
        ("transform>", "x>", "no aligned photo"),
        ("cameras", "pictures", "no chunk with cameras"),
        ("<chunk", "<bunch", "whole XML"),
    ],
)
def test_metashape_with_wrong_values(tmp_path, old, new, words):
    text = metashape_text()
    assert old in text
    assert words in str(refused(write(tmp_path, "cameras.xml", text.replace(old, new))))


@pytest.mark.parametrize("scale", ["0", "-1", "nan"])
def test_metashape_scale_that_is_none(tmp_path, scale):
    text = metashape_text(world=(np.eye(3), np.zeros(3), 1.0))
    text = text.replace("<scale>1.0</scale>", f"<scale>{scale}</scale>")
    assert "scale" in str(refused(write(tmp_path, "cameras.xml", text)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("brown4t2", "brown5", "'brown5'"),
        ("Skew='0'", "Skew='0.01'", "skew"),
        ("AspectRatio='1'", "AspectRatio='1.2'", "not square"),
        ("FocalLength35mm='31.5'", "FocalLength35mm='0'", "focal length 0"),
        ("xcr:FocalLength35mm='31.5'", "", "no focal length"),
        ("<xcr:Position>", "<xcr:Position>1 ", "4 numbers for Position"),
        ("<xcr:Rotation>", "<xcr:Rotation>1 ", "10 numbers for Rotation"),
        ("<xcr:DistortionCoeficients>", "<xcr:DistortionCoeficients>1 ", "7 distortion"),
        ("xcr:Rotation", "xcr:Turn", "no pose"),
        ("</xcr:Rotation>", "", "whole XML"),
    ],
)
def test_xmp_with_wrong_values(tmp_path, old, new, words):
    text = xmp_text(SHOTS[0])
    assert old in text
    assert words in str(refused(write(tmp_path, "a.xmp", text.replace(old, new))))


def test_csv_with_wrong_values(tmp_path):
    lines = csv_text().splitlines()
    for line, words in [
        (lines[2].replace("31.5", "0.0"), "focal length 0"),
        (lines[2].replace("31.5", "wide"), "'wide' for f of IMG_1.jpg"),
        (lines[2].rpartition(",")[0], "15 columns instead of 16"),
        (lines[2].replace("IMG_1.jpg", ""), "without a name"),
    ]:
        assert words in str(refused(write(tmp_path, "a.csv", "\n".join([lines[1], line]))))
    assert "no cameras" in str(refused(write(tmp_path, "a.csv", lines[1])))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ([0, "shots"], {}, "places no photo"),
        ([0, "shots", NAMES[0], "camera"], "other", "'other'"),
        ([0, "shots", NAMES[0], "rotation"], [1, 2], "3 finite numbers"),
        ([0, "shots", NAMES[0], "translation"], "x", "not a list"),
        ([0, "cameras", "v2 x", "projection_type"], "spherical", "'spherical'"),
        ([0, "cameras", "v2 x", "projection_type"], "dual", "'dual'"),
        ([0, "cameras", "v2 x", "focal"], 0, "focal length 0"),
        ([0, "cameras", "v2 x", "width"], -1, "width"),
        ([0, "points", "3", "coordinates"], [1, 2], "3 finite numbers"),
    ],
)
def test_opensfm_with_wrong_values(tmp_path, path, value, words):
    data = json.loads(opensfm_text({"projection_type": "perspective", "focal": 0.9}))[1:]
    text = json.dumps(edited(data, path, value))
    assert words in str(refused(write(tmp_path, "reconstruction.json", text)))


def test_bundler_with_wrong_values(tmp_path):
    path = write_bundle(tmp_path)
    text = path.read_text()
    for old, new, words in [
        ("620.0", "nan", "finite parameters"),
        ("620.0", "x", "no number"),
        ("4 40\n", "4 41\n", "cut short"),
        ("4 40\n", "-4 40\n", "-4 where a count"),
        ("4 40\n", "4.5 40\n", "4.5 where a count"),
        ("4 40\n", "1e18 40\n", "1e+18 where a count"),
        ("620.0", "0", "places none"),
    ]:
        path.write_text(text.replace(old, new))
        assert words in str(refused(path))
    path.write_text(text)
    (tmp_path / "list.txt").write_text("a.jpg\n")
    assert "names 1 photos, bundle.out holds 4 cameras" in str(refused(path))
    (tmp_path / "list.txt").unlink()
    assert "list.txt" in str(refused(path))


def test_colmap_with_wrong_values(tmp_path):
    sphere = write_colmap(tmp_path / "a", {1: ("EQUIRECTANGULAR", (800.0, 600.0))})
    assert "'EQUIRECTANGULAR'" in str(refused(sphere))
    zero = write_colmap(tmp_path / "b", {1: ("SIMPLE_PINHOLE", (0.0, 400.0, 300.0))})
    assert "focal length 0" in str(refused(zero))
    unknown = write_colmap(tmp_path / "c", {1: ("WONDER", (1.0,))})
    assert "model" in str(refused(unknown))
    empty = write_colmap(tmp_path / "d", {1: LENS}, shots=())
    for name in ("images.txt", "points3D.txt"):
        (empty / name).write_text("")
    assert "places no photo" in str(refused(empty))
    lonely = write_colmap(tmp_path / "e", {2: LENS})
    assert "damaged" in str(refused(lonely))


# -- any damage ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WHOLE)
def test_cut_short_anywhere(tmp_path, kind):
    name, text = WHOLE[kind]
    for length in np.linspace(0, len(text) - 2, 60).astype(int):
        survives(write(tmp_path, name, text[:length]))


def damaged_bytes(data, seed):
    """`data` with one to eight places overwritten, removed or filled with junk."""
    chance = random.Random(seed)  # noqa: S311 - the same damage in every run
    data = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data))
        action = chance.randrange(4)
        if action == 0:
            data[at] = chance.randrange(256)
        elif action == 1:
            del data[at : at + chance.randint(1, 40)]
        elif action == 2:
            data[at:at] = bytes(chance.choices(b'0123456789.e-+ "<>{}[],:/x\xff\x00\n', k=3))
        else:
            data[at:at] = data[at : at + 60]
        data = data or bytearray(b" ")
    return bytes(data)


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_anywhere(tmp_path, kind):
    name, text = WHOLE[kind]
    for seed in range(150):
        survives(write(tmp_path, name, damaged_bytes(text.encode(), seed)))


def test_bundle_damaged_anywhere(tmp_path):
    path = write_bundle(tmp_path)
    text = path.read_bytes()
    for seed in range(150):
        path.write_bytes(damaged_bytes(text, seed))
        survives(path)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["w", "h", "camera", "0", "k1"]), inner, max_size=4)
    ),
    max_leaves=6,
)


def paths_in(data, limit=400):
    """Every place in nested JSON, as lists of keys."""
    found, open_places = [], [[]]
    while open_places and len(found) < limit:
        path = open_places.pop(0)
        found.append(path)
        here = data
        for key in path:
            here = here[key]
        if isinstance(here, dict | list):
            keys = here if isinstance(here, dict) else range(len(here))
            open_places += [[*path, key] for key in list(keys)[:30]]
    return found


TREES = {
    "transforms.json": json.loads(transforms_text({**NERF, "k1": 0.1, "camera_model": "OPENCV"})),
    "reconstruction.json": json.loads(
        opensfm_text({"projection_type": "brown", "focal_x": 0.9, "focal_y": 0.9})
    ),
}
PLACES = {name: paths_in(tree) for name, tree in TREES.items()}


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(list(TREES)), value=junk)
def test_json_of_any_shape(tmp_path, data, name, value):
    path = data.draw(st.sampled_from(PLACES[name]))
    survives(write(tmp_path, name, json.dumps(edited(TREES[name], path, value))))


@pytest.fixture(scope="module")
def binary_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binary")
    text = write_colmap(folder / "text", {1: LENS})
    model = pycolmap.Reconstruction(str(text))
    model.write_binary(str(folder))
    return {p.name: p.read_bytes() for p in folder.glob("*.bin")}


@pytest.mark.parametrize("damage", ["cut", "count", "bytes", "missing", "empty"])
@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_colmap_binaries_that_end_pycolmap_do_not_end_us(tmp_path, binary_model, name, damage):
    for file, content in binary_model.items():
        (tmp_path / file).write_bytes(content)
    assert len(read_cameras(tmp_path).photos) == len(NAMES)
    path = tmp_path / name
    whole = binary_model[name]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {
                "cut": whole[: len(whole) * 2 // 3],
                "count": struct.pack("<Q", 1 << 60) + whole[8:],
                "bytes": damaged_bytes(whole, 3),
                "empty": b"",
            }[damage]
        )
    survives(tmp_path)
    if damage in ("cut", "count", "empty"):
        assert name in str(refused(tmp_path))


def test_lens_parameters_are_counted_as_colmap_counts_them():
    for name, number in pycolmap.CameraModelId.__members__.items():
        if name != "INVALID":
            camera = pycolmap.Camera.create_from_model_id(1, number, 500.0, 640, 480)
            assert len(camera.params) == PARAMETERS[int(number.value)]


def test_folder_of_xmps_with_a_damaged_one(tmp_path):
    folder = write_xmps(tmp_path)
    (folder / "IMG_2.xmp").write_text("<x:xmp")
    assert "IMG_2.xmp" in str(refused(folder))
