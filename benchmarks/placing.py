# SPDX-License-Identifier: GPL-3.0-or-later
"""Are photos placed right, or not at all? Many seeds and subsets of sets with known cameras.

    python benchmarks/placing.py SET... [--photos 6 8 12] [--seeds 30] [--pick even|random|run]

SET: a folder of photos with their truth beside them, as `mvsam evaluate geometry` reads it. A set
without truth is compared with the model of all its photos (``consensus``), which is placed first.
Features and matches of a set are found once and kept in the cache folder; a row then costs
seconds. Nothing but the structure-from-motion step runs: the dense step, which refuses more, does
not, so what is WRONG here may still be refused later, never the other way round.

Each row is one number of photos of one set over all seeds. A seed changes the random numbers AND
which photos are taken. WRONG: models that were given out with any photo off by more than 2 degrees
or 5 % of the rig. Refused: no model. Rotation errors are relative to the turn that most photos
agree on; medians and worst over the models that are not wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from mvsam_engine.errors import UsageError
from mvsam_engine.evaluate.metrics import WRONG_DEGREES, WRONG_SHARE_OF_RIG, rotation_degrees
from mvsam_engine.evaluate.sources import find_set
from mvsam_engine.photos import read_photo
from mvsam_engine.reconstruct.classical.evidence import Look
from mvsam_engine.reconstruct.classical.features import PhotoFeatures, detect_all, write_database
from mvsam_engine.reconstruct.classical.matching import match_pairs
from mvsam_engine.reconstruct.classical.placing import Placer, finish
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, PhotoFacts, SfmJob
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.support import LEAST_ANGLE, viewing_angle
from mvsam_engine.reconstruct.similarity import align

ENDINGS = (".jpg", ".jpeg", ".png")
Poses = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Features and matches of all photos of a set, found once.

    Attributes:
        photos: as the engine describes them to its child process.
        size: long side at which the features were found.
        features: of each photo.
        matches: pair of indices to [m, 2] feature numbers, not verified.
        cpu: seconds that features and matches took.
    """

    photos: tuple[JobPhoto, ...]
    size: int
    features: list[PhotoFeatures]
    matches: dict[tuple[int, int], NDArray[np.uint32]]
    cpu: float


def describe(path: Path) -> JobPhoto:
    """A photo as the engine would have it in a capture."""
    photo = read_photo(path, path.read_bytes())
    return JobPhoto(
        view=path.stem,
        path=str(path),
        width=photo.width,
        height=photo.height,
        focal=photo.focal,
        camera_model=photo.camera_model,
    )


def match_set(paths: list[Path], size: int, cache: Path) -> Matched:
    """Features and matches of all pairs, from the cache when they are there."""
    photos = tuple(describe(path) for path in paths)
    if not cache.is_file():
        began = time.process_time()
        found, _ = detect_all(photos, size, 2, lambda: None)
        if any(one is None for one in found):
            raise SystemExit("A photo of the set cannot be read.")
        arrays: dict[str, NDArray[np.generic]] = {}
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder) / "matched.db"
            names = [f"{i:06d}" for i in range(len(photos))]
            write_database(database, names, photos, found, size)
            pairs = list(itertools.combinations(range(len(photos)), 2))
            match_pairs(database, names, pairs, lambda count: None)
            with pycolmap.Database.open(database) as opened:
                ids, matches = opened.read_all_matches()
        for pair_id, matched in zip(ids, matches, strict=True):
            a, b = pycolmap.pair_id_to_image_pair(pair_id)
            arrays[f"match_{a - 1}_{b - 1}"] = np.asarray(matched)
        for i, one in enumerate(found):
            arrays[f"keypoints_{i}"] = one.keypoints
            arrays[f"descriptors_{i}"] = one.descriptors.data
            arrays[f"look_{i}"] = one.look.gray
        arrays["cpu"] = np.array(time.process_time() - began)
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, **arrays)
    with np.load(cache, allow_pickle=False) as kept:
        features = []
        for i, photo in enumerate(photos):
            gray = kept[f"look_{i}"]
            kind = pycolmap.FeatureExtractorType.SIFT
            keypoints = kept[f"keypoints_{i}"]
            features.append(
                PhotoFeatures(
                    keypoints=keypoints,
                    descriptors=pycolmap.FeatureDescriptors(kind, kept[f"descriptors_{i}"]),
                    order=np.arange(len(keypoints)),
                    look=Look(gray, gray.shape[1] / photo.width),
                )
            )
        matches = {}
        for name in kept.files:
            if name.startswith("match_"):
                a, b = map(int, name.split("_")[1:])
                matches[a, b] = kept[name]
        return Matched(photos, size, features, matches, float(kept["cpu"]))


def place(matched: Matched, chosen: list[int], seed: int) -> tuple[SparseModel | None, str, float]:
    """Place some photos of a set as the engine would.

    Returns:
        The model, None when it is refused; the reason then; CPU seconds from the matches on.
    """
    photos = tuple(matched.photos[i] for i in chosen)
    features = [matched.features[i] for i in chosen]
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "matched.db"
        names = [f"{i:06d}" for i in range(len(photos))]
        write_database(database, names, photos, features, matched.size)
        with pycolmap.Database.open(database) as opened:
            for (a, i), (b, j) in itertools.combinations(enumerate(chosen), 2):
                pair = matched.matches.get((min(i, j), max(i, j)))
                if pair is not None and len(pair):
                    opened.write_matches(a + 1, b + 1, pair if i < j else pair[:, ::-1])
        began = time.process_time()
        job = SfmJob(photos=photos, folder=folder, size=matched.size, seed=seed)
        facts = [
            PhotoFacts(p.view, len(f.keypoints)) for p, f in zip(photos, features, strict=True)
        ]
        looks = {p.view: f.look for p, f in zip(photos, features, strict=True)}
        placer = Placer(job, database, looks, facts)
        placer.run(lambda: None)
        model = finish(placer, facts)
        seconds = time.process_time() - began
    if model is None:
        return None, "ambiguous" if placer.ambiguous else "nothing is confirmed", seconds
    if viewing_angle(model) < LEAST_ANGLE:
        return None, "no parallax", seconds
    return model, "", seconds


def choose(total: int, count: int, seed: int, pick: str) -> list[int]:
    """Which photos a seed takes: evenly spaced from a place of its own, by chance, or a run."""
    if count >= total:
        return list(range(total))
    random = np.random.default_rng(seed)
    if pick == "random":
        return sorted(random.choice(total, count, replace=False).tolist())
    if pick == "run":
        start = int(random.integers(total - count + 1))
        return list(range(start, start + count))
    step = total / count
    return sorted(
        {int((k + random.random()) * step) % total for k in range(count)}
        if seed % 2
        else {int(k * step + (seed // 2) % max(1, round(step))) % total for k in range(count)}
    )


@dataclass(frozen=True, slots=True)
class Errors:
    """How far a model is off: degrees and shares of the rig, by camera."""

    degrees: NDArray[np.float64]
    centre: NDArray[np.float64]

    @property
    def wrong(self) -> bool:
        """Whether any photo is where it was not taken."""
        return bool(
            (self.degrees > WRONG_DEGREES).any() or (self.centre > WRONG_SHARE_OF_RIG).any()
        )


def compare(model: SparseModel, true: Poses) -> Errors:
    """Errors of a model's cameras; with two cameras only of the rotation between them."""
    views = [camera.view for camera in model.cameras]
    ours = {camera.view: camera.camera_from_world for camera in model.cameras}
    turns = np.array([true[v][:3, :3].T @ ours[v][:3, :3] for v in views])
    spread = np.array([[rotation_degrees(a.T @ b) for b in turns] for a in turns])
    middle = int(np.argmin(np.median(spread, axis=1)))
    close = turns[spread[middle] <= np.median(spread[middle]) + WRONG_DEGREES]
    u, _, vt = np.linalg.svd(close.sum(axis=0))
    common = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    degrees = np.array([rotation_degrees(common.T @ turn) for turn in turns])
    centre = np.zeros(len(views))
    if len(views) > 2:
        goal = np.array([-true[v][:3, :3].T @ true[v][:3, 3] for v in views])
        found = np.array([-ours[v][:3, :3].T @ ours[v][:3, 3] for v in views])
        everywhere = np.array([-m[:3, :3].T @ m[:3, 3] for m in true.values()])
        rig = np.linalg.norm(everywhere[:, None] - everywhere[None], axis=-1).max()
        centre = np.linalg.norm(align(found, goal).apply(found) - goal, axis=1) / rig
    return Errors(degrees, centre)


def read_set(source: Path) -> tuple[list[Path], Poses]:
    """Photos and true cameras of a set; no cameras when there is no truth."""
    try:
        found = find_set(source, None)
        return list(found.photos), dict(found.truth.cameras)
    except UsageError:
        folder = next(
            (source / n for n in ("photos", "images", "rgb") if (source / n).is_dir()), source
        )
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS), {}


def row(
    matched: Matched, true: Poses, count: int, seeds: range, pick: str, told: bool
) -> dict[str, object]:
    """One row of the table."""
    placed, degrees, worst, centres, seconds, reasons, wrong = [], [], [], [], [], [], []
    for seed in seeds:
        chosen = choose(len(matched.photos), count, seed, pick)
        model, reason, spent = place(matched, chosen, seed)
        seconds.append(spent / len(chosen))
        if model is None:
            reasons.append(reason)
            continue
        placed.append(len(model.cameras))
        errors = compare(model, true)
        if errors.wrong:
            wrong.append(seed)
        else:
            degrees.append(float(np.median(errors.degrees)))
            worst.append(float(errors.degrees.max()))
            centres.append(float(errors.centre.max()))
        if told:
            print(
                f"  seed {seed}: {len(model.cameras)} of {len(chosen)} by {model.method}, "
                f"{errors.degrees.max():.3f} deg, {errors.centre.max():.4f} of the rig"
                f"{', WRONG' if errors.wrong else ''}",
                flush=True,
            )
    return {
        "photos": count,
        "seeds": len(seeds),
        "placed": f"{min(placed)}-{max(placed)} (mean {np.mean(placed):.1f})" if placed else "-",
        "refused": len(reasons),
        "WRONG": len(wrong),
        "rotation_deg": round(float(np.median(degrees)), 4) if degrees else None,
        "worst_deg": round(max(worst), 3) if worst else None,
        "worst_centre": round(max(centres), 5) if centres else None,
        "cpu_s_per_photo": round(float(np.mean(seconds)), 2),
        "wrong_seeds": wrong,
    }


def main() -> None:
    """Print a table, or one JSON object a row with --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument("--photos", nargs="+", type=int, default=[0], help="0: all of them")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--pick", choices=("even", "random", "run"), default="even")
    parser.add_argument("--size", type=int, default=800, help="long side for features, pixels")
    parser.add_argument("--cache", type=Path, default=Path("placing-cache"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tell", action="store_true", help="a line for every seed")
    asked = parser.parse_args()
    pycolmap.logging.minloglevel = 3
    keys = ("photos", "seeds", "placed", "refused", "WRONG", "rotation_deg", "worst_deg",
            "worst_centre", "cpu_s_per_photo")  # fmt: skip
    if not asked.json:
        print("| set | " + " | ".join(keys) + " |\n|" + "---|" * (len(keys) + 1))
    for source in asked.sets:
        paths, true = read_set(source)
        name = source.absolute().name
        matched = match_set(paths, asked.size, asked.cache / f"{name}-{asked.size}.npz")
        if not true:
            model, reason, _ = place(matched, list(range(len(paths))), 0)
            if model is None:
                print(f"| {name} | {len(paths)} photos are refused: {reason} |")
                continue
            true = {camera.view: camera.camera_from_world for camera in model.cameras}
            name += f" (consensus of {len(true)})"
        known = [i for i, photo in enumerate(matched.photos) if photo.view in true]
        matched = only(matched, known)
        for count in asked.photos:
            seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
            result = row(matched, true, count or len(known), seeds, asked.pick, asked.tell)
            result["features_cpu_s_per_photo"] = round(matched.cpu / len(paths), 2)
            if asked.json:
                print(json.dumps({"set": name} | result), flush=True)
            else:
                print(
                    f"| {name} | " + " | ".join(str(result[key]) for key in keys) + " |", flush=True
                )


def only(matched: Matched, known: list[int]) -> Matched:
    """The set with only the photos `known`."""
    place_of = {index: number for number, index in enumerate(known)}
    return Matched(
        photos=tuple(matched.photos[i] for i in known),
        size=matched.size,
        features=[matched.features[i] for i in known],
        matches={
            (place_of[a], place_of[b]): m
            for (a, b), m in matched.matches.items()
            if a in place_of and b in place_of
        },
        cpu=matched.cpu,
    )


if __name__ == "__main__":
    main()
