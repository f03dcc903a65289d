# SPDX-License-Identifier: GPL-3.0-or-later
"""A small rig with known cameras, written in the formats of other programs.

Each writer follows the format's own documentation and shares no code with the readers: what it
writes is worked out from `Shot` (a rotation and a position) and plain numbers.
"""

import json
import math
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 800, 600
NAMES = ("left/IMG_1.jpg", "left/IMG_2.jpg", "right/IMG_3.jpg")


@dataclass(frozen=True, eq=False)
class Shot:
    """Camera-from-world rotation [3, 3] (x right, y down, z forward) and position [3]."""

    name: str
    rotation: np.ndarray
    center: np.ndarray

    def local(self, points):
        return (points - self.center) @ self.rotation.T


def look_at(name, center, target, roll):
    """A camera at `center` with `target` ahead, turned by `roll` radians about its axis."""
    center, target = np.array(center, float), np.array(target, float)
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = math.cos(roll), math.sin(roll)
    return Shot(name, np.array([c * right + s * down, -s * right + c * down, forward]), center)


SHOTS = (
    look_at(NAMES[0], (3.0, -4.0, 2.0), (0.1, 0.0, 0.2), 0.1),
    look_at(NAMES[1], (-1.0, -5.0, 1.0), (0.0, 0.3, 0.0), -0.3),
    look_at(NAMES[2], (-4.0, 1.5, 3.0), (0.2, -0.1, 0.1), 1.2),
)
POINTS = np.random.default_rng(5).uniform(-1.0, 1.0, (40, 3))


def brown(x, y, k=(), p1=0.0, p2=0.0):
    """Brown's distortion in OpenCV's naming, written out term by term."""
    r2 = x * x + y * y
    radial = 1.0 + sum(ki * r2 ** (i + 1) for i, ki in enumerate(k))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def flat(shot, points=POINTS):
    """x/z and y/z of `points` seen from `shot`."""
    local = shot.local(points)
    return local[:, 0] / local[:, 2], local[:, 1] / local[:, 2]


def row(values):
    return " ".join(repr(float(v)) for v in np.ravel(values))


# -- COLMAP text -----------------------------------------------------------------------------


def quaternion(rotation):
    """w, x, y, z of a rotation matrix, by its largest component."""
    m = rotation
    w = math.sqrt(max(0.0, 1 + m[0, 0] + m[1, 1] + m[2, 2])) / 2
    if w > 0.1:
        return (
            w,
            (m[2, 1] - m[1, 2]) / (4 * w),
            (m[0, 2] - m[2, 0]) / (4 * w),
            (m[1, 0] - m[0, 1]) / (4 * w),
        )
    values, vectors = np.linalg.eigh((m + m.T) / 2)
    axis = vectors[:, np.argmax(values)]
    return (w, *(axis * math.sqrt(1 - w * w)))


def sees(i, j):
    """Whether photo i sees point j, in files that hold tracks."""
    return (i + j) % 4 != 0


def write_colmap(folder, cameras, shots=SHOTS, camera_of=lambda i: 1):
    """`cameras`: id to (model, params). Photo i sees point j where `sees` says so."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(
        f"{i} {model} {WIDTH} {HEIGHT} {row(params)}\n" for i, (model, params) in cameras.items()
    )
    (folder / "cameras.txt").write_text(text)
    lines = []
    for i, shot in enumerate(shots):
        translation = -shot.rotation @ shot.center
        pose = f"{row(quaternion(shot.rotation))} {row(translation)}"
        lines.append(f"{i + 1} {pose} {camera_of(i)} {shot.name}")
        numbers = [j + 1 if sees(i, j) else -1 for j in range(len(POINTS))]
        lines.append(" ".join(f"{j}.5 {i}.5 {number}" for j, number in enumerate(numbers)))
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    with (folder / "points3D.txt").open("w") as file:
        for j, point in enumerate(POINTS):
            track = " ".join(f"{i + 1} {j}" for i in range(len(shots)) if sees(i, j))
            file.write(f"{j + 1} {row(point)} 10 20 30 0.5 {track}\n")
    return folder


# -- Metashape -------------------------------------------------------------------------------

METASHAPE_LENS = {
    "f": 700.0, "cx": 6.5, "cy": -4.25, "b1": 1.5, "b2": -2.5,
    "k1": -0.08, "k2": 0.03, "k3": -0.01, "k4": 0.004, "p1": 0.002, "p2": -0.003,
}  # fmt: skip


def metashape_pixels(shot, lens=METASHAPE_LENS, fisheye=False):
    """Metashape's manual, "Camera models"; its P1 and P2 are the other way round."""
    x, y = flat(shot)
    if fisheye:
        r0 = np.hypot(x, y)
        x, y = x * np.arctan(r0) / r0, y * np.arctan(r0) / r0
    x, y = brown(x, y, [lens[f"k{i}"] for i in (1, 2, 3, 4)], p1=lens["p2"], p2=lens["p1"])
    u = WIDTH * 0.5 + lens["cx"] + x * lens["f"] + x * lens["b1"] + y * lens["b2"]
    v = HEIGHT * 0.5 + lens["cy"] + y * lens["f"]
    return np.stack([u, v], axis=-1)


def metashape_text(
    shots=SHOTS, lens=METASHAPE_LENS, kind="frame", world=None, where="component", extra="",
    reference="", label=lambda name: name.rpartition("/")[2].removesuffix(".jpg"),
):  # fmt: skip
    """`world`: rotation, translation, scale that carry the chunk into the world."""
    turn, shift, scale = world or (np.eye(3), np.zeros(3), 1.0)
    transform = (
        f"<transform><rotation locked='true'>{row(turn)}</rotation><translation>{row(shift)}"
        f"</translation><scale>{scale!r}</scale></transform>"
    )
    cameras = ""
    for i, shot in enumerate(shots):
        inside = np.eye(4)
        inside[:3, :3] = turn.T @ shot.rotation.T
        inside[:3, 3] = turn.T @ (shot.center - shift) / scale
        cameras += (
            f"<camera id='{i}' sensor_id='0' component_id='0' label='{label(shot.name)}'>"
            f"<transform>{row(inside)}</transform><orientation>1</orientation></camera>"
        )
    values = "".join(f"<{name}>{value!r}</{name}>" for name, value in lens.items())
    component = transform if world and where == "component" else ""
    chunk = transform if world and where == "chunk" else ""
    return (
        "<?xml version='1.0' encoding='UTF-8'?><document version='2.0.0'>"
        "<chunk label='Chunk 1' enabled='true'><sensors next_id='1'>"
        f"<sensor id='0' label='X, 35 mm' type='{kind}'>"
        f"<resolution width='{WIDTH}' height='{HEIGHT}'/>"
        f"<calibration type='{kind}' class='initial'><resolution width='{WIDTH}' "
        f"height='{HEIGHT}'/><f>1.0</f></calibration>"
        f"<calibration type='{kind}' class='adjusted'><resolution width='{WIDTH}' "
        f"height='{HEIGHT}'/>{values}</calibration></sensor></sensors>"
        f"<components next_id='1'><component id='0' label='Component 1'>{component}</component>"
        f"</components><cameras next_id='9'><group id='0'>{cameras}{extra}</group></cameras>"
        f"{chunk}{reference}</chunk></document>"
    )


# -- RealityScan -----------------------------------------------------------------------------

RC_F, RC_PX, RC_PY = 31.5, 0.0125, -0.02
RC_K, RC_T1, RC_T2 = (-0.07, 0.02, -0.006, 0.003), 0.0015, -0.0025


def realityscan_pixels(shot, k=RC_K, t1=RC_T1, t2=RC_T2, bend=None):
    """Equations (27) to (35) and (43) to (48) of the document; t1, t2 swapped to OpenCV's names."""
    x, y = bend(*flat(shot)) if bend else brown(*flat(shot), k, p1=t2, p2=t1)
    longest = max(WIDTH, HEIGHT)
    f = RC_F / 36 * longest
    u = f * x + RC_PX * longest + WIDTH / 2
    v = f * y + RC_PY * longest + HEIGHT / 2
    return np.stack([u, v], axis=-1)


def yaw_pitch_roll(rotation):
    """Degrees, from the matrix that Fraunhofer IIS' camorph gives for RealityCapture's angles."""
    pitch = math.asin(-rotation[1, 2])
    roll = math.atan2(-rotation[0, 2], -rotation[2, 2])
    yaw = math.atan2(-rotation[1, 0], -rotation[1, 1])
    return [math.degrees(a) for a in (yaw, pitch, roll)]


def csv_text(header="#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2", shots=SHOTS):
    lines = [header] if header.startswith("#cameras") else ["#cameras 3", header]
    for shot in shots:
        values = [
            *(*shot.center, *yaw_pitch_roll(shot.rotation)),
            *(RC_F, RC_PX, RC_PY, *RC_K, RC_T1, RC_T2),
        ]
        name = shot.name.rpartition("/")[2]
        lines.append(",".join([name, *(repr(float(v)) for v in values)]))
    return "\r\n".join(lines) + "\r\n"


def opencv_csv_text():
    ij = [f"R{i}{j}" for i in range(3) for j in range(3)]
    head = ["#name", "tx", "ty", "tz", *ij, "f_pix", "px_pix", "py_pix"]
    lines = [",".join([*head, "k1", "k2", "t2", "t1", "k3", "k4"]) + " (R = [Rij], row major, t)"]
    longest = max(WIDTH, HEIGHT)
    for shot in SHOTS:
        values = [
            *(*(-shot.rotation @ shot.center), *shot.rotation.ravel(), RC_F / 36 * longest),
            *(RC_PX * longest + WIDTH / 2, RC_PY * longest + HEIGHT / 2),
            *(*RC_K[:2], RC_T2, RC_T1, *RC_K[2:]),
        ]
        lines.append(",".join([shot.name, *(repr(float(v)) for v in values)]))
    return "\n".join(lines) + "\n"


def xmp_text(shot, model="brown4t2", k=(*RC_K, RC_T1, RC_T2), attributes="", as_attributes=False):
    inner = {"Rotation": row(shot.rotation), "Position": row(shot.center)}
    inner["DistortionCoeficients"] = row(k)
    if as_attributes:
        attributes += "".join(f" xcr:{name}='{value}'" for name, value in inner.items())
        inner = {}
    body = "".join(f"<xcr:{name}>{value}</xcr:{name}>" for name, value in inner.items())
    return (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description xcr:Version='3' xmlns:xcr='http://www.capturingreality.com/ns/xcr/1.1#'"
        f" xcr:PosePrior='initial' xcr:DistortionModel='{model}' xcr:FocalLength35mm='{RC_F!r}'"
        f" xcr:Skew='0' xcr:AspectRatio='1' xcr:PrincipalPointU='{RC_PX!r}'"
        f" xcr:PrincipalPointV='{RC_PY!r}' {attributes}>{body}"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def write_xmps(folder, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        stem = shot.name.rpartition("/")[2].removesuffix(".jpg")
        (folder / f"{stem}.xmp").write_text(xmp_text(shot, **settings))
    return folder


# -- transforms.json -------------------------------------------------------------------------


def opengl(shot):
    """Camera-to-world with x right, y up, z backward."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([shot.rotation[0], -shot.rotation[1], -shot.rotation[2]], axis=1)
    matrix[:3, 3] = shot.center
    return matrix.tolist()


def transforms_text(whole, each=None, shots=SHOTS, name=lambda n: "images/" + n):
    frames = [
        {"file_path": name(shot.name), "transform_matrix": opengl(shot), **(each or {})}
        for shot in shots
    ]
    return json.dumps({**whole, "frames": frames})


# -- Bundler ---------------------------------------------------------------------------------


def bundle_text(focal=620.0, k1=-0.05, k2=0.02, shots=SHOTS):
    """One camera more that was not placed, in the second place."""
    lines = ["# Bundle file v0.3", f"{len(shots) + 1} {len(POINTS)}"]
    order = []
    for i, shot in enumerate(shots):
        if i == 1:
            lines += ["0 0 0", "0 0 0", "0 0 0", "0 0 0", "0 0 0"]
            order.append(None)
        flipped = np.diag([1.0, -1.0, -1.0]) @ shot.rotation
        lines += [f"{focal!r} {k1!r} {k2!r}", *(row(r) for r in flipped)]
        lines.append(row(-flipped @ shot.center))
        order.append(shot.name)
    for j, point in enumerate(POINTS):
        seen = [i for i, name in enumerate(order) if name and (i + j) % 3]
        views = " ".join(f"{i} {j} 1.5 -2.5" for i in seen)
        lines += [row(point), "10 20 30", f"{len(seen)} {views}"]
    names = [name or "lost.jpg" for name in order]
    return "\n".join(lines) + "\n", "\n".join(f"{n} 0 {focal}" for n in names) + "\n"


def write_bundle(folder, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    bundle, names = bundle_text(**settings)
    (folder / "bundle.out").write_text(bundle)
    (folder / "list.txt").write_text(names)
    return folder / "bundle.out"


# -- OpenSfM ---------------------------------------------------------------------------------


def angle_axis(rotation):
    w, *xyz = quaternion(rotation)
    length = np.linalg.norm(xyz)
    return (np.array(xyz) / length * 2 * math.atan2(length, w)).tolist()


def opensfm_text(camera, shots=SHOTS, **more):
    size = {"width": WIDTH, "height": HEIGHT}
    part = {
        "cameras": {"v2 x": {**size, **camera}},
        "shots": {
            shot.name: {
                "rotation": angle_axis(shot.rotation),
                "translation": (-shot.rotation @ shot.center).tolist(),
                "camera": "v2 x",
                "orientation": 1,
            }
            for shot in shots
        },
        "points": {
            str(j): {"color": [1, 2, 3], "coordinates": p.tolist()} for j, p in enumerate(POINTS)
        },
        **more,
    }
    lonely = {"cameras": {}, "shots": {"far.jpg": {}}}
    return json.dumps([lonely, part])
