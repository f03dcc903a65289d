# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the real photographs that the shipped network was trained with.

    python scripts/training_photos.py FOLDER

Takes the background pictures of four Debian packages (their licences are CC0, CC BY 4.0, CC BY-SA
3.0 and 4.0, and GPL-2+, see /usr/share/doc/PACKAGE/copyright in each), leaves out what is no
photograph or painting, and writes them 1600 pixels large. `mvsam train scenes --textures FOLDER`
cuts textures from them, `mvsam train run --keep FOLDER` asks about them. Needs apt-get and dpkg.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PACKAGES = (
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "ukui-wallpapers",
)
KINDS = {".jpg", ".jpeg", ".png", ".webp"}
# Stripes, logos and plain gradients.
NO_PHOTOGRAPHS = ("Stripes", "Radioact", "-no-", "Arc-Colors", "Float-into")
# Smaller files are thumbnails.
LEAST_BYTES = 100_000
LONG_SIDE = 1600


def main() -> int:
    """Download, unpack, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    out = parser.parse_args().folder
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        if subprocess.run(["apt-get", "download", *PACKAGES], cwd=work, check=False).returncode:
            print("The packages cannot be had: apt-get says why above.", file=sys.stderr)
            return 1
        for archive in sorted(Path(work).glob("*.deb")):
            name = archive.name.split("_")[0]
            unpacked = Path(work) / name
            subprocess.run(["dpkg", "-x", archive, unpacked], check=True)
            for picture in sorted(unpacked.rglob("*")):
                if wanted(picture):
                    write(picture, out / f"{name}_{picture.stem.replace(' ', '_')}.jpg")
    print(f"{len(list(out.glob('*.jpg')))} photographs in {out}")
    return 0


def wanted(picture: Path) -> bool:
    """Whether a file is one of the photographs."""
    return (
        picture.suffix.lower() in KINDS
        and picture.is_file()
        and picture.stat().st_size > LEAST_BYTES
        and not any(part in picture.name for part in NO_PHOTOGRAPHS)
    )


def write(picture: Path, target: Path) -> None:
    """A moderate JPEG of it."""
    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((LONG_SIDE, LONG_SIDE))
        small.save(target, quality=92)


if __name__ == "__main__":
    raise SystemExit(main())
