# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/images/hero.jpg from what `scripts/demo.py` left in demo_output/.

    .venv/bin/python scripts/readme_picture.py [DEMO_OUTPUT]

Top: the clicked photo with its mask, and six other photos with theirs. Below: the points from a new
viewpoint with the object tinted, and the object alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from mvsam_engine.capture import Capture

ROOT = Path(__file__).resolve().parent.parent
WIDTH, GAP = 1800, 10
BACKGROUND = (13, 13, 16)
OTHERS = 6


def main(demo: Path) -> Path:
    """Compose the picture; returns its path."""
    capture = Capture.open(demo / "capture")
    (item, *_) = capture.objects()
    clicked = item.prompts[0].view
    others = [s.view for s in item.scores if s.area > 0 and s.view != clicked]
    chosen = [others[i * len(others) // OTHERS] for i in range(OTHERS)]

    small = (WIDTH - 4 * GAP) // 5
    big = 2 * small + GAP
    overlays = demo / "overlays"
    first = _fitted(overlays / f"{clicked}.jpg", big)
    tiles = [_fitted(overlays / f"{view}.jpg", small) for view in chosen]
    preview = _fitted(demo / "preview.png", WIDTH)
    top = 2 * tiles[0].height + GAP
    picture = Image.new("RGB", (WIDTH, top + GAP + preview.height), BACKGROUND)
    picture.paste(first.crop((0, 0, big, top)), (0, 0))
    for i, tile in enumerate(tiles):
        column, row = i % 3, i // 3
        x = big + GAP + column * (small + GAP)
        picture.paste(tile, (x, row * (tile.height + GAP)))
    picture.paste(preview, (0, top + GAP))
    target = ROOT / "docs" / "images" / "hero.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, quality=86)
    return target


def _fitted(path: Path, width: int) -> Image.Image:
    with Image.open(path) as image:
        height = round(image.height * width / image.width)
        return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo_output"))
