# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos to a network's pixels: the sizes its authors use, and exactly back."""

from __future__ import annotations

import numpy as np
import pytest
from perfect_model import code_photo, read_code

from mvsam_engine.reconstruct.neural.backends import da3, dust3r, pi3, vggt
from mvsam_engine.reconstruct.neural.framing import InputNeeds, frame_photos

# Width and height of photos, and what the authors' preparation makes of sets of them (the commits
# are in docs/models.md). Upright photos go whole into VGGT here, where its authors cut them.
SIZES = [
    ((4000, 3000), (504, 378), (518, 392), (574, 434), (512, 384)),
    ((3000, 4000), (378, 504), (392, 518), (434, 574), (384, 512)),
    ((6000, 4000), (504, 336), (518, 350), (616, 406), (512, 336)),
    ((1920, 1080), (504, 280), (518, 294), (672, 378), (512, 288)),
    ((800, 800), (504, 504), (518, 518), (504, 504), (512, 512)),
]


@pytest.mark.parametrize("case", SIZES, ids=lambda case: f"{case[0][0]}x{case[0][1]}")
def test_sizes_are_those_of_the_authors(case):
    photo, *expected = case
    for backend, size in zip((da3, vggt, pi3, dust3r), expected, strict=True):
        framing = frame_photos([photo, photo], backend.NEEDS)[1]
        assert (framing.width, framing.height) == size, backend.__name__
        assert framing.covers == pytest.approx(1.0) and framing.inside().all()


@pytest.mark.parametrize("unequal", ["crop", "pad"])
@pytest.mark.parametrize("sizes", [[(640, 480)], [(640, 480), (480, 640), (500, 500)], [(90, 60)]])
def test_the_image_shows_what_the_framing_says(sizes, unequal):
    """The photo's own colours tell where each pixel of the network's image lies."""
    framings = frame_photos(sizes, InputNeeds(224, 14, unequal))
    assert len({(f.width, f.height) for f in framings}) == 1
    for i, ((width, height), framing) in enumerate(zip(sizes, framings, strict=True)):
        image = framing.image(code_photo(width, height, i))
        assert image.shape == (framing.height, framing.width, 3)
        number, shares = read_code(image)
        assert number == i
        told, inside = framing.centers(), framing.inside()
        away = np.abs(shares * [width, height] - told)[inside]
        # A tenth of one of the network's own pixels.
        assert np.nanmax(away) < 0.1 / min(framing.scale_x, framing.scale_y)
        assert (np.isnan(shares[..., 0]) == ~inside).all()
        assert np.allclose(framing.to_photo(framing.to_network(told)), told)
        if unequal == "pad" or len(sizes) == 1:
            assert framing.covers == pytest.approx(1.0)
        if unequal == "crop" or len(sizes) == 1:
            assert inside.all()
    if len(sizes) > 1:
        assert any(f.covers < 0.9 or not f.inside().all() for f in framings)


def test_a_quicker_look_has_fewer_pixels_in_every_way():
    for backend in (da3, vggt, pi3, dust3r):
        whole = frame_photos([(4000, 3000)], backend.NEEDS)[0]
        quick = frame_photos([(4000, 3000)], backend.NEEDS, round(0.65 * backend.NEEDS.long_side))[
            0
        ]
        assert quick.width < 0.72 * whole.width and quick.width % backend.NEEDS.multiple == 0
