# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras of other programs: the pixels that they mean are the pixels that we get.

Every file is written from a known rig by `camera_files`; the expected pixels come from the
formulas in the formats' documentation, from COLMAP or from OpenCV, never from our own cameras.
"""

import json
import shutil

import cv2
import numpy as np
import pycolmap
import pytest
from camera_files import (
    HEIGHT,
    METASHAPE_LENS,
    NAMES,
    POINTS,
    RC_K,
    SHOTS,
    WIDTH,
    brown,
    csv_text,
    flat,
    look_at,
    metashape_pixels,
    metashape_text,
    opencv_csv_text,
    opensfm_text,
    realityscan_pixels,
    sees,
    transforms_text,
    write_bundle,
    write_colmap,
    write_xmps,
    xmp_text,
)

from mvsam_engine.capture.model import Photo
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.cameras import match_cameras, read_cameras

# What the project's formats promise: millionths of a pixel, also after files with all digits.
CLOSE = 1e-6
WORLD = (look_at("", (1, 2, 3), (4, 4, 4), 0.4).rotation, np.array([100.0, -50.0, 7.0]), 2.5)


def photos(names=NAMES, width=WIDTH, height=HEIGHT, orientation=1):
    return tuple(
        Photo(
            view=name.replace("/", "_"),
            file=f"photos/{i}.jpg",
            width=width,
            height=height,
            size=1,
            sha256=f"{i}",
            original_name=name,
            orientation=orientation,
        )
        for i, name in enumerate(names)
    )


def pixels_of(cameras, points=POINTS):
    """Our pixels [photos, points, 2] of a camera set on the rig's photos."""
    matched = match_cameras(photos(), cameras)
    assert [c.view for c in matched.cameras] == [p.view for p in photos()]
    assert not matched.photos_without
    return np.array([camera.project(points)[0] for camera in matched.cameras])


def opencv_pixels(shot, k=(), f=(700.0, 690.0), centre=(410.0, 290.0)):
    matrix = np.array([[f[0], 0, centre[0]], [0, f[1], centre[1]], [0, 0, 1]])
    local = shot.local(POINTS)
    found, _ = cv2.projectPoints(local, np.zeros(3), np.zeros(3), matrix, np.array(k, float))
    return found[:, 0]


# -- COLMAP ----------------------------------------------------------------------------------

TWO_LENSES = {
    1: ("OPENCV", (700.0, 690.0, 410.0, 290.0, -0.1, 0.02, 0.001, -0.002)),
    7: ("SIMPLE_RADIAL_FISHEYE", (520.0, 395.0, 305.0, 0.03)),
}


def colmap_pixels(shot, model, params):
    camera = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=list(params))
    return np.array(camera.img_from_cam(shot.local(POINTS)))


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_colmap_with_two_lenses_and_folders(tmp_path, kind):
    folder = write_colmap(tmp_path / "sparse" / "0", TWO_LENSES, camera_of=lambda i: (1, 7, 1)[i])
    if kind == "binary":
        model = pycolmap.Reconstruction(str(folder))
        shutil.rmtree(folder)
        folder.mkdir()
        model.write_binary(str(folder))
    expected = [
        colmap_pixels(shot, *TWO_LENSES[i]) for shot, i in zip(SHOTS, (1, 7, 1), strict=True)
    ]
    # By the folder above, by the model's folder, and by one of its files.
    for named in (tmp_path, folder, next(folder.glob("images.*"))):
        cameras = read_cameras(named)
        assert cameras.format == "COLMAP"
        assert [p.name for p in cameras.photos] == list(NAMES)
        assert pixels_of(cameras) == pytest.approx(np.array(expected), abs=CLOSE)
    numbers = [int(np.flatnonzero((p == POINTS).all(axis=1))[0]) for p in cameras.points]
    assert sorted(numbers) == list(range(len(POINTS)))
    tracks = {(i, numbers[k]) for i, k in zip(cameras.seen_by, cameras.seen_point, strict=True)}
    assert tracks == {(i, j) for i in range(3) for j in range(len(POINTS)) if sees(i, j)}


def test_colmap_rigs_of_several_cameras(tmp_path):
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 1, 2, 3
    options.num_points3D = 30
    options.sensor_from_rig_rotation_stddev = 5.0
    options.sensor_from_rig_translation_stddev = 0.1
    model = pycolmap.synthesize_dataset(options)
    model.write_binary(str(tmp_path))
    cameras = read_cameras(tmp_path)
    assert len(cameras.photos) == 6
    points = np.array([p.xyz for p in model.points3D.values()])
    for posed in cameras.photos:
        image = model.find_image_with_name(posed.name)
        expected = np.array([image.project_point(p) for p in points])
        assert posed.camera.project(points)[0] == pytest.approx(expected, abs=CLOSE)
    # Each observation is where its point projects to: the tracks belong to the right photos.
    seen = cameras.photos[int(cameras.seen_by[0])]
    image = model.find_image_with_name(seen.name)
    pixel = seen.camera.project(cameras.points[cameras.seen_point[0]])[0]
    distances = [np.linalg.norm(p.xy - pixel) for p in image.points2D]
    assert min(distances) < 1.0


# -- Metashape -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["frame", "fisheye"])
@pytest.mark.parametrize(("world", "where"), [(None, ""), (WORLD, "component"), (WORLD, "chunk")])
def test_metashape(tmp_path, kind, world, where):
    path = tmp_path / "cameras.xml"
    path.write_text(metashape_text(kind=kind, world=world, where=where))
    cameras = read_cameras(path)
    assert cameras.format == "Metashape XML"
    assert [p.name for p in cameras.photos] == ["IMG_1", "IMG_2", "IMG_3"]
    expected = np.array([metashape_pixels(shot, fisheye=kind == "fisheye") for shot in SHOTS])
    assert pixels_of(cameras) == pytest.approx(expected, abs=CLOSE)
    assert cameras.metric == cameras.upright == (world is not None)


def test_metashape_axis_without_offset_is_the_middle_of_the_photo(tmp_path):
    path = tmp_path / "cameras.xml"
    path.write_text(metashape_text(lens={"f": 700.0}))
    camera = read_cameras(path).photos[0].camera
    assert camera.model == "PINHOLE"
    ahead = SHOTS[0].center + SHOTS[0].rotation[2]
    assert camera.project(ahead)[0] == pytest.approx([WIDTH / 2, HEIGHT / 2], abs=CLOSE)


def test_metashape_geocentric_coordinates_are_metric_but_not_upright(tmp_path):
    # Somewhere on the Earth's surface, metres from its centre.
    shift = np.array([4_027_893.7, 307_041.9, 4_919_498.9])
    moved = [type(s)(s.name, s.rotation, s.center + shift) for s in SHOTS]
    for reference in ("", "<reference>GEOGCS[&quot;WGS 84&quot;]</reference>"):
        path = tmp_path / "cameras.xml"
        world = (WORLD[0], shift, 1.0)
        path.write_text(metashape_text(shots=moved, world=world, reference=reference))
        cameras = read_cameras(path)
        assert cameras.metric
        assert not cameras.upright
        # A nanometre of a double at this distance is 1e-3 pixels at worst.
        found = pixels_of(cameras, POINTS + shift)
        expected = np.array([metashape_pixels(shot) for shot in SHOTS])
        assert found == pytest.approx(expected, abs=1e-4)


def test_metashape_names_what_is_unaligned_or_disabled(tmp_path):
    extra = (
        "<camera id='7' sensor_id='0' label='lost'/>"
        "<camera id='8' sensor_id='0' label='off' enabled='false'><transform>1</transform></camera>"
    )
    path = tmp_path / "cameras.xml"
    path.write_text(metashape_text(extra=extra))
    cameras = read_cameras(path)
    assert len(cameras.photos) == 3
    assert cameras.remarks == (
        "1 photo left out: not aligned in Metashape (lost).",
        "1 photo left out: disabled in Metashape (off).",
    )


def test_metashape_keeps_the_photos_of_one_coordinate_system(tmp_path):
    """A component without a transform has coordinates of its own."""
    path = tmp_path / "cameras.xml"
    for world, kept in ((None, ["IMG_2", "IMG_3"]), (WORLD, ["IMG_1", "IMG_2"])):
        text = metashape_text(world=world)
        # The first photo moves to a component of its own, or the last one out of the world's.
        label = "IMG_1" if world is None else "IMG_3"
        text = text.replace(
            f"component_id='0' label='{label}'", f"component_id='4' label='{label}'"
        )
        path.write_text(text)
        cameras = read_cameras(path)
        assert [p.name for p in cameras.photos] == kept
        assert cameras.metric == (world is not None)
        assert f"({label})" in cameras.remarks[0]


def test_metashape_transform_that_says_nothing_promises_nothing(tmp_path):
    path = tmp_path / "cameras.xml"
    path.write_text(metashape_text(world=(np.eye(3), np.zeros(3), 1.0)))
    cameras = read_cameras(path)
    assert not cameras.metric
    assert not cameras.upright


# -- RealityScan -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2",
        "#name,x,y,alt,yaw,pitch,roll,f_35mm,px_norm,py_norm,k1,k2,k3,k4,t1,t2",
        "name,x,y,alt,yaw,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2",
    ],
)
def test_realityscan_csv(tmp_path, header):
    path = tmp_path / "registration.csv"
    path.write_text(csv_text(header))
    cameras = read_cameras(path)
    assert cameras.format == "RealityScan CSV"
    expected = np.array([realityscan_pixels(shot) for shot in SHOTS])
    assert pixels_of(cameras) == pytest.approx(expected, abs=CLOSE)


def test_realityscan_csv_looks_down_at_zero_angles(tmp_path):
    """The document's figure 11: north is up in the photo, yaw turns clockwise, pitch lifts."""
    path = tmp_path / "registration.csv"
    rows = ["#name,x,y,alt,heading,pitch,roll,f", "a.jpg,0,0,10,0,0,0,36", "b.jpg,0,0,10,90,0,0,36"]
    path.write_text("\n".join([*rows, "c.jpg,0,0,10,0,90,0,36"]))
    down, east_up, north = (p.camera.camera_from_world[:3, :3] for p in read_cameras(path).photos)
    assert down == pytest.approx(np.diag([1.0, -1.0, -1.0]))  # right is east, down is south
    assert east_up[1] == pytest.approx([-1, 0, 0])  # the photo's down is west: up is east
    assert north[2] == pytest.approx([0, 1, 0])  # looks north when pitched up by 90 degrees


def test_realityscan_opencv_csv(tmp_path):
    path = tmp_path / "registration.csv"
    path.write_text(opencv_csv_text())
    expected = np.array([realityscan_pixels(shot) for shot in SHOTS])
    assert pixels_of(read_cameras(path)) == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize(
    ("model", "k", "t"),
    [
        ("perspective", (), (0, 0)),
        ("brown3", RC_K[:3], (0, 0)),
        ("brown4", RC_K, (0, 0)),
        ("brown3t2", RC_K[:3], (0.0015, -0.0025)),
        ("brown4t2", RC_K, (0.0015, -0.0025)),
    ],
)
@pytest.mark.parametrize("as_attributes", [False, True])
def test_realityscan_xmp(tmp_path, model, k, t, as_attributes):
    """Coefficients that do not belong to the model are in the file and must not be used."""
    cameras = read_cameras(write_xmps(tmp_path, model=model, as_attributes=as_attributes))
    assert cameras.format == "RealityScan XMP"
    expected = np.array([realityscan_pixels(shot, k, *t) for shot in SHOTS])
    assert pixels_of(cameras) == pytest.approx(expected, abs=CLOSE)


def test_realityscan_division_is_of_the_undistorted_radius(tmp_path):
    cameras = read_cameras(write_xmps(tmp_path, model="division", k=(0.12, 0, 0, 0, 0, 0)))

    def division(x, y):
        return x / (1 + 0.12 * (x * x + y * y)), y / (1 + 0.12 * (x * x + y * y))

    expected = np.array([realityscan_pixels(shot, bend=division) for shot in SHOTS])
    assert pixels_of(cameras) == pytest.approx(expected, abs=CLOSE)


def test_one_xmp_is_a_set_of_one(tmp_path):
    path = write_xmps(tmp_path) / "IMG_2.xmp"
    (photo,) = read_cameras(path).photos
    assert photo.name == "IMG_2"


def test_xmp_without_pose_and_of_other_components_are_named(tmp_path):
    folder = write_xmps(tmp_path, attributes="xcr:Coordinates='relative' xcr:ComponentId='{A}'")
    lost = xmp_text(SHOTS[0]).replace("xcr:Position", "xcr:Elsewhere")
    (folder / "lost.xmp").write_text(lost)
    other = xmp_text(SHOTS[0], attributes="xcr:Coordinates='relative' xcr:ComponentId='{B}'")
    (folder / "apart.xmp").write_text(other)
    (folder / "raw.xmp").write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    cameras = read_cameras(folder)
    assert [p.name for p in cameras.photos] == ["IMG_1", "IMG_2", "IMG_3"]
    assert [r.rpartition("(")[2] for r in cameras.remarks] == ["lost).", "apart)."]


# -- transforms.json -------------------------------------------------------------------------

NERF = {"fl_x": 700.0, "fl_y": 690.0, "cx": 410.0, "cy": 290.0, "w": WIDTH, "h": HEIGHT}


def test_transforms_of_nerfstudio(tmp_path):
    k = {"k1": -0.1, "k2": 0.02, "p1": 0.001, "p2": -0.002}
    path = tmp_path / "transforms.json"
    whole = {"camera_model": "OPENCV", **NERF, **k, "applied_transform": np.eye(4)[:3].tolist()}
    path.write_text(transforms_text(whole))
    expected = np.array([opencv_pixels(shot, tuple(k.values())) for shot in SHOTS])
    for named in (path, tmp_path):
        cameras = read_cameras(named)
        assert cameras.format == "transforms.json"
        assert pixels_of(cameras) == pytest.approx(expected, abs=CLOSE)


def test_transforms_fourth_radial_term_is_a_power_not_a_quotient(tmp_path):
    path = tmp_path / "transforms.json"
    k = (-0.1, 0.02, 0.01, -0.03)
    path.write_text(transforms_text({**NERF, **{f"k{i + 1}": v for i, v in enumerate(k)}}))
    expected = []
    for shot in SHOTS:
        x, y = brown(*flat(shot), k)
        expected.append(np.stack([700.0 * x + 410.0, 690.0 * y + 290.0], axis=-1))
    assert pixels_of(read_cameras(path)) == pytest.approx(np.array(expected), abs=CLOSE)


@pytest.mark.parametrize("flag", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_transforms_with_fisheye(tmp_path, flag):
    k = (0.03, -0.02, 0.01, -0.002)
    path = tmp_path / "transforms.json"
    path.write_text(transforms_text({**NERF, **flag, **{f"k{i + 1}": v for i, v in enumerate(k)}}))
    matrix = np.array([[700.0, 0, 410], [0, 690, 290], [0, 0, 1]])
    expected = [
        cv2.fisheye.projectPoints(
            shot.local(POINTS)[:, None], np.zeros(3), np.zeros(3), matrix, np.array(k)
        )[0][:, 0]
        for shot in SHOTS
    ]
    assert pixels_of(read_cameras(path)) == pytest.approx(np.array(expected), abs=CLOSE)


def test_transforms_intrinsics_of_each_frame_win(tmp_path):
    path = tmp_path / "transforms.json"
    path.write_text(transforms_text({**NERF, "fl_x": 1.0}, each={"fl_x": 700.0}))
    expected = np.array([opencv_pixels(shot) for shot in SHOTS])
    assert pixels_of(read_cameras(path)) == pytest.approx(expected, abs=CLOSE)


def test_transforms_of_blender_have_an_angle_no_size_and_no_ending(tmp_path):
    path = tmp_path / "transforms_train.json"
    angle = 2 * np.arctan(0.5 * WIDTH / 700.0)
    path.write_text(
        transforms_text({"camera_angle_x": angle}, name=lambda n: "./train/" + n[:-4].split("/")[1])
    )
    cameras = read_cameras(path)
    assert cameras.photos[0].name == "train/IMG_1"
    centre = (WIDTH / 2, HEIGHT / 2)
    expected = np.array([opencv_pixels(shot, f=(700.0, 700.0), centre=centre) for shot in SHOTS])
    assert pixels_of(cameras) == pytest.approx(expected, abs=CLOSE)


# -- Bundler ---------------------------------------------------------------------------------


def test_bundler(tmp_path):
    path = write_bundle(tmp_path / "bundle")
    expected = []
    for shot in SHOTS:
        # The manual: P = R X + t, p = -P / P.z, p' = f r(p) p, from the centre with y up.
        x, y, z = (np.diag([1.0, -1.0, -1.0]) @ shot.local(POINTS).T).tolist()
        px, py = -np.array(x) / z, -np.array(y) / z
        scale = 620.0 * (1 - 0.05 * (px**2 + py**2) + 0.02 * (px**2 + py**2) ** 2)
        expected.append(np.stack([WIDTH / 2 + scale * px, HEIGHT / 2 - scale * py], axis=-1))
    for named in (path, path.parent):
        cameras = read_cameras(named)
        assert cameras.format == "Bundler"
        assert [p.name for p in cameras.photos] == list(NAMES)
        assert pixels_of(cameras) == pytest.approx(np.array(expected), abs=CLOSE)
    assert cameras.points == pytest.approx(POINTS)
    # Written for cameras 0, 2, 3 of four: (i + j) % 3 says who sees point j.
    places = {0: 0, 2: 1, 3: 2}
    expected_tracks = {(places[i], j) for j in range(len(POINTS)) for i in places if (i + j) % 3}
    assert set(zip(cameras.seen_by, cameras.seen_point, strict=True)) == expected_tracks
    assert "lost.jpg" in cameras.remarks[0]


# -- OpenSfM ---------------------------------------------------------------------------------

OPENSFM = {
    "perspective": ({"focal": 0.9, "k1": -0.1, "k2": 0.03}, "pinhole"),
    "simple_radial": (
        {"focal_x": 0.9, "focal_y": 0.88, "c_x": 0.01, "c_y": -0.02, "k1": -0.1},
        "pinhole",
    ),
    "radial": (
        {"focal_x": 0.9, "focal_y": 0.88, "c_x": 0.01, "c_y": -0.02, "k1": -0.1, "k2": 0.03},
        "pinhole",
    ),
    "brown": (
        {
            **{"focal_x": 0.9, "focal_y": 0.88, "c_x": 0.01, "c_y": -0.02},
            **{"k1": -0.1, "k2": 0.03, "k3": -0.02, "p1": 0.002, "p2": -0.003},
        },
        "pinhole",
    ),
    "fisheye": ({"focal": 0.7, "k1": 0.02, "k2": -0.01}, "fisheye"),
    "fisheye_opencv": (
        {
            **{"focal_x": 0.7, "focal_y": 0.69, "c_x": 0.01, "c_y": -0.02},
            **{"k1": 0.02, "k2": -0.01, "k3": 0.005, "k4": -0.001},
        },
        "fisheye",
    ),
}


@pytest.mark.parametrize("kind", OPENSFM)
def test_opensfm(tmp_path, kind):
    lens, family = OPENSFM[kind]
    path = tmp_path / "reconstruction.json"
    path.write_text(opensfm_text({"projection_type": kind, **lens}))
    cameras = read_cameras(path)
    assert cameras.format == "OpenSfM"
    expected = []
    for shot in SHOTS:
        x, y = flat(shot)
        if family == "fisheye":
            r = np.hypot(x, y)
            x, y = x / r * np.arctan(r), y / r * np.arctan(r)
        k = [lens.get(f"k{i}", 0.0) for i in (1, 2, 3, 4)]
        x, y = brown(x, y, k, lens.get("p1", 0.0), lens.get("p2", 0.0))
        # Normalised coordinates, then to pixels by the documentation's matrix H, whose pixels
        # count from the CENTRE of the first pixel: half a pixel more from its corner.
        u = lens.get("focal_x", lens.get("focal")) * x + lens.get("c_x", 0.0)
        v = lens.get("focal_y", lens.get("focal")) * y + lens.get("c_y", 0.0)
        longest = max(WIDTH, HEIGHT)
        pixels = [longest * u + (WIDTH - 1) / 2 + 0.5, longest * v + (HEIGHT - 1) / 2 + 0.5]
        expected.append(np.stack(pixels, axis=-1))
    assert pixels_of(cameras) == pytest.approx(np.array(expected), abs=CLOSE)
    assert cameras.points == pytest.approx(POINTS)
    assert not cameras.metric
    assert "far.jpg" in cameras.remarks[0]


def test_opensfm_tracks_come_from_the_file_beside(tmp_path):
    path = tmp_path / "reconstruction.json"
    path.write_text(opensfm_text({"focal": 0.9}))
    lines = ["OPENSFM_TRACKS_VERSION_v2", "far.jpg\t1\t0\t0.1\t0.2", "damaged", ""]
    for i, name in enumerate(NAMES):
        lines += [f"{name}\t{j}\t{j}\t0.1\t0.2" for j in range(99) if sees(i, j)]
    (tmp_path / "tracks.csv").write_text("\n".join(lines))
    cameras = read_cameras(path)
    assert set(zip(cameras.seen_by, cameras.seen_point, strict=True)) == {
        (i, j) for i in range(3) for j in range(len(POINTS)) if sees(i, j)
    }


def test_opensfm_with_a_place_on_earth_is_metric_and_upright(tmp_path):
    path = tmp_path / "reconstruction.json"
    place = {"latitude": 52.5, "longitude": 13.4, "altitude": 0.0}
    path.write_text(opensfm_text({"focal": 0.9}, reference_lla=place))
    cameras = read_cameras(path)
    assert (cameras.metric, cameras.upright) == (True, True)


def test_no_turn_at_all_is_an_angle_axis_of_zero(tmp_path):
    path = tmp_path / "reconstruction.json"
    text = json.loads(opensfm_text({"focal": 0.9}, shots=SHOTS[:1]))
    text[1]["shots"][NAMES[0]]["rotation"] = [0, 0, 0]
    text[1]["shots"][NAMES[0]]["translation"] = [0, 0, 1]
    path.write_text(json.dumps(text[1:]))
    matrix = read_cameras(path).photos[0].camera.camera_from_world
    assert matrix == pytest.approx(
        np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]])
    )


# -- all -------------------------------------------------------------------------------------


def test_coordinates_of_millions_keep_their_digits(tmp_path):
    """UTM eastings and northings: float64 all the way, pixels good to a hundredth."""
    shift = np.array([393_214.25, 5_819_553.5, 34.0])
    moved = [type(s)(s.name, s.rotation, s.center + shift) for s in SHOTS]
    path = tmp_path / "registration.csv"
    path.write_text(csv_text(shots=moved))
    cameras = read_cameras(path)
    assert cameras.photos[0].camera.camera_from_world.dtype == np.float64
    expected = np.array([realityscan_pixels(shot) for shot in SHOTS])
    assert pixels_of(cameras, POINTS + shift) == pytest.approx(expected, abs=1e-2)


def test_rotations_with_few_digits_become_rotations(tmp_path):
    path = tmp_path / "transforms.json"
    data = json.loads(transforms_text(NERF))
    for frame in data["frames"]:
        frame["transform_matrix"] = np.round(frame["transform_matrix"], 4).tolist()
    path.write_text(json.dumps(data))
    for posed in read_cameras(path).photos:
        rotation = posed.camera.camera_from_world[:3, :3]
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.abs(pixels_of(read_cameras(path)) - [opencv_pixels(s) for s in SHOTS]).max() < 0.2


def test_a_folder_with_two_files_of_cameras_asks_which(tmp_path):
    (tmp_path / "transforms.json").write_text(transforms_text(NERF))
    (tmp_path / "cameras.xml").write_text(metashape_text(lens=METASHAPE_LENS))
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(ReconstructionError, match=r"cameras\.xml, transforms\.json"):
        read_cameras(tmp_path)


# -- numbers of real exports -----------------------------------------------------------------


def geodetic(center):
    """Longitude, latitude in degrees and height in metres on the WGS 84 ellipsoid."""
    a, flattening = 6_378_137.0, 1 / 298.257223563
    e2 = flattening * (2 - flattening)
    x, y, z = center
    p, latitude = np.hypot(x, y), np.arctan2(z, np.hypot(x, y))
    for _ in range(10):
        radius = a / np.sqrt(1 - e2 * np.sin(latitude) ** 2)
        latitude = np.arctan2(z + e2 * radius * np.sin(latitude), p)
    height = p / np.cos(latitude) - radius
    return np.degrees(np.arctan2(y, x)), np.degrees(latitude), height


def test_metashape_of_a_real_survey(tmp_path):
    """Numbers of a public export of a drone's photos: its GPS position and angles come out.

    The file gives for this camera: x -120.417985477, y 39.41191747, z 2420.109 (GPS), yaw 179.9,
    pitch 0.1 (looking down with the top of the photo to the south).
    """
    turn = (
        "0.8710699454 0.3070967021 -0.3833128821 -0.4909742007 0.5658364395 -0.6623997719 "
        "0.0134716110 0.7651932691 0.6436596744"
    )
    transform = (
        "-0.99988146 -0.00872749 0.01268391 7.04224697 -0.00842932 0.99969124 0.02337453 "
        "7.05403071 -0.01288400 0.02326485 -0.99964631 0.43561421 0 0 0 1"
    )
    text = metashape_text(shots=SHOTS[:1], world=(np.eye(3), np.zeros(3), 1.0))
    head, _, tail = text.partition("label='IMG_1'><transform>")
    text = head + "label='IMG_1'><transform>" + transform + tail[tail.index("</transform>") :]
    head, _, tail = text.partition("<transform><rotation locked='true'>")
    text = (
        f"{head}<transform><rotation locked='true'>{turn}</rotation><translation>-2499366.429888 "
        "-4256836.520906 4029217.965003</translation><scale>12.354192447331316</scale>"
        + tail[tail.index("</transform>") :]
    )
    path = tmp_path / "cameras.xml"
    path.write_text(text)
    cameras = read_cameras(path)
    (photo,) = cameras.photos
    longitude, latitude, height = geodetic(photo.camera.center)
    # GPS and adjustment differ by centimetres; a millionth of a degree is a tenth of a metre.
    assert (longitude, latitude) == pytest.approx((-120.417985477, 39.41191747), abs=1e-6)
    assert height == pytest.approx(2420.109, abs=0.05)
    east = np.array([-np.sin(np.radians(longitude)), np.cos(np.radians(longitude)), 0.0])
    up = photo.camera.center / np.linalg.norm(photo.camera.center)
    north = np.cross(up, east)
    right, down, forward = photo.camera.camera_from_world[:3, :3]
    assert forward @ up == pytest.approx(-1, abs=1e-3)
    assert down @ north == pytest.approx(1, abs=1e-3)
    assert right @ east == pytest.approx(-1, abs=1e-3)
    assert (cameras.metric, cameras.upright) == (True, False)


def test_realityscan_xmp_of_a_real_photo(tmp_path):
    """Numbers of a public export of a photo taken level from a tripod: down is down."""
    text = xmp_text(SHOTS[0])
    head, _, tail = text.partition("<xcr:Rotation>")
    rotation = (
        "0.412555151152903 0.910841439690343 0.0128887159933671 0.0412058430083455 "
        "-0.00452553581407911 -0.999140429583083 -0.910000178988533 0.412731621357468 "
        "-0.0393990224812024"
    )
    path = tmp_path / "a.xmp"
    path.write_text(f"{head}<xcr:Rotation>{rotation}{tail[tail.index('</xcr:Rotation>') :]}")
    _, down, forward = read_cameras(path).photos[0].camera.camera_from_world[:3, :3]
    assert down[2] == pytest.approx(-1, abs=1e-3)
    assert abs(forward[2]) < 0.05
