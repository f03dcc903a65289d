# SPDX-License-Identifier: GPL-3.0-or-later
"""Real videos, made here: the sharpest frames come out upright, whatever happens to the file."""

import math
import struct
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from photo_files import Collecting, brought_in, is_upright, picture
from PIL import Image
from service_client import Engine
from test_photos_intake import Watch

from mvsam_engine.capture import Capture
from mvsam_engine.errors import Cancelled, PhotoError, UsageError
from mvsam_engine.photos import IntakeOptions, add_photos, read_rgb
from mvsam_engine.photos.video import every_for, inspect, sharpest_frames, window_count
from mvsam_engine.protocol import ReconstructParams

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def engine(tmp_path):
    with (tmp_path / "engine.log").open("wb") as log:
        engine = Engine(log)
        yield engine
        engine.close()


def shown(number, blurred=False, width=WIDTH, height=HEIGHT):
    """A frame whose number is written in grey bars: eight blocks along the bottom, a bit each."""
    pixels = np.asarray(picture(width=width, height=height)).copy()
    noise = np.random.default_rng(number).integers(-18, 18, pixels.shape)
    pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if blurred:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 4)
    for bit in range(8):
        left = bit * width // 8
        value = 255 if number >> bit & 1 else 0
        pixels[height // 2 - 6 : height // 2 + 6, left : left + width // 8] = value
    return pixels


def number_in(rgb):
    """The number that `shown` wrote, as the frame really shows it."""
    height, width = rgb.shape[:2]
    row = rgb[height // 2].mean(axis=-1)
    return sum(1 << bit for bit in range(8) if row[bit * width // 8 + width // 16] > 127)


def film(
    path, count, codec="libx264", *, sharp=(), times=None, rotation=0, aspect=None, size=None,
    pixels="yuv420p",
):  # fmt: skip
    """Write a video of `count` frames, sharp where named (everywhere when none is)."""
    width, height = size or (WIDTH, HEIGHT)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if codec == "libx264":
            stream.options = {"crf": "12", "g": "10"}
        elif codec != "ffv1":
            stream.bit_rate = 8_000_000
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            stream.set_display_rotation(rotation)
        for i in range(count):
            rgb = shown(i, bool(sharp) and i not in sharp, width, height)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = times[i] if times else i
            frame.time_base = Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbers(capture):
    return [number_in(read_rgb(capture.photo_path(p))) for p in capture.photos()]


KINDS = {
    "a.mp4": "libx264",
    "a.mov": "libx264",
    "a.mkv": "ffv1",
    "a.avi": "mpeg4",
    "a.webm": "libvpx",
}


@pytest.mark.parametrize("name", KINDS)
def test_the_sharpest_frame_of_every_window(tmp_path, name):
    path = film(tmp_path / name, 30, KINDS[name], sharp={3, 12, 29})
    capture, progress = brought_in(tmp_path / "c", path, every=10)
    assert numbers(capture) == [3, 12, 29]
    assert [p.view for p in capture.photos()] == ["a_000003", "a_000012", "a_000029"]
    assert all((p.width, p.height, p.focal) == (WIDTH, HEIGHT, None) for p in capture.photos())
    assert progress.codes == ["video.frames"]
    assert "3 of 30 frames were taken, the sharpest of every 10." in progress.messages[0]
    assert progress.done == 30
    for photo in capture.photos():
        assert photo.file.endswith(".jpg")


def test_names_count_frames(tmp_path):
    path = film(tmp_path / "Spaziergang 🏺.mp4", 12)
    capture, _ = brought_in(tmp_path / "c", path, every=1)
    assert numbers(capture) == list(range(12))
    assert capture.photos()[7].original_name == "Spaziergang 🏺_000007.jpg"


@pytest.mark.parametrize(
    ("frames", "every"), [(1, 1), (60, 1), (100, 1), (160, 2), (250, 3), (1000, 12), (54000, 675)]
)
def test_the_usual_number_of_frames(frames, every):
    assert every_for(frames) == every
    taken = window_count(frames, every)
    assert taken <= 100
    assert taken >= min(frames, 60)


def test_the_usual_window_is_said(tmp_path):
    path = film(tmp_path / "a.mp4", 200, size=(64, 48))
    capture, progress = brought_in(tmp_path / "c", path)
    assert len(capture.photos()) == 100
    assert "100 of 200 frames were taken, the sharpest of every 2." in progress.messages[0]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(tmp_path, degrees):
    path = film(tmp_path / "a.mp4", 4, rotation=degrees)
    capture, _ = brought_in(tmp_path / "c", path, every=4)
    rgb = read_rgb(capture.photo_path(capture.photos()[0]))
    # tkhd's matrix (ISO/IEC 14496-12) turns stored pixels to shown ones: a, b, c, d in 16.16.
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    a, b, _, c, d = (v / 65536 for v in struct.unpack(">5i", data[at : at + 20]))
    stored_right = (a, b)  # where the stored right goes, x right, y down
    stored_down = (c, d)
    size = (HEIGHT, WIDTH) if degrees % 180 else (WIDTH, HEIGHT)
    assert rgb.shape[1::-1] == size
    centre = np.array(size) / 2

    def colour(stored):  # at a position of the stored picture relative to its centre
        at = centre + stored[0] * np.array(stored_right) + stored[1] * np.array(stored_down)
        return rgb[int(at[1]), int(at[0])].argmax()

    assert colour((0, -28)) == 1  # green above
    assert colour((-40, 20)) == 0  # red left
    assert colour((40, 20)) == 2  # blue right
    assert math.isclose(abs(a * d - b * c), 1)


def test_pixels_that_are_not_square_are_made_square(tmp_path):
    path = film(tmp_path / "a.mp4", 4, aspect=Fraction(3, 2))
    capture, _ = brought_in(tmp_path / "c", path, every=4)
    assert (capture.photos()[0].width, capture.photos()[0].height) == (144, 64)


def test_uneven_frame_times_do_not_matter(tmp_path):
    times, now = [], 0
    for i in range(30):
        now += 1 + (i * 7) % 5 * (i % 3)
        times.append(now)
    path = film(tmp_path / "a.mkv", 30, sharp={4, 15, 22}, times=times)
    capture, _ = brought_in(tmp_path / "c", path, every=10)
    assert numbers(capture) == [4, 15, 22]


def test_a_short_rest_gives_no_frame_and_a_long_one_does(tmp_path):
    capture, _ = brought_in(tmp_path / "c", film(tmp_path / "a.mp4", 23), every=10)
    assert len(capture.photos()) == 2
    capture, _ = brought_in(tmp_path / "d", film(tmp_path / "b.mp4", 26), every=10)
    assert len(capture.photos()) == 3
    capture, _ = brought_in(tmp_path / "e", film(tmp_path / "c.mp4", 3), every=10)
    assert len(capture.photos()) == 1


def test_the_same_video_again_is_recognised(tmp_path):
    path = film(tmp_path / "a.mp4", 40, sharp={3, 12, 25, 38})
    capture, _ = brought_in(tmp_path / "c", path, every=10)
    first = capture.photos()
    copied = tmp_path / "renamed.mov"
    copied.write_bytes(path.read_bytes())
    _, progress = brought_in(tmp_path / "c", copied, every=10)
    assert capture.photos() == first
    assert progress.total == 0  # not even decoded
    brought_in(tmp_path / "c", path, every=5)  # closer: only the empty halves are filled
    assert capture.photos()[:4] == first
    assert len(capture.photos()) == 8
    taken = sorted(int(p.view.rsplit("_", 1)[1]) // 5 for p in capture.photos())
    assert taken == list(range(8))


# --- damage -----------------------------------------------------------------------------------


def test_a_cut_video_gives_what_it_has(tmp_path):
    path = film(tmp_path / "a.mkv", 40, "ffv1")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    capture, progress = brought_in(tmp_path / "c", path, every=1)
    assert 10 < len(capture.photos()) < 30
    assert numbers(capture) == list(range(len(capture.photos())))
    assert "video.frames" in progress.codes


def test_a_broken_middle_is_passed_over_and_told(tmp_path):
    path = film(tmp_path / "a.mp4", 60)
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    length = struct.unpack(">I", data[begin - 8 : begin - 4])[0]
    for i in range(begin + length * 2 // 5, begin + length * 3 // 5):
        data[i] = 0xFF
    path.write_bytes(bytes(data))
    capture, progress = brought_in(tmp_path / "c", path, every=1)
    assert "video.damaged" in progress.codes
    assert any("of 60 frames could be read" in m for m in progress.messages)
    found = numbers(capture)
    assert found[:10] == list(range(10))
    assert found[-5:] == list(range(55, 60))


@pytest.mark.parametrize("content", [b"", b"no video", b"\0\0\0\x18ftypmp42" + bytes(64)])
def test_what_is_no_video_is_a_sentence(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match="None of the 1 files"):
        brought_in(tmp_path / "c", path)
    with pytest.raises(PhotoError, match=r"a\.mp4 (is not a video|holds no pictures)"):
        inspect(path)


def test_a_video_without_its_index_is_a_sentence(tmp_path):
    path = film(tmp_path / "a.mp4", 30)  # its index comes last
    whole = path.read_bytes()
    index = whole.index(b"moov")
    for end in (index + 40, index - 4, index // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(PhotoError, match=r"is not a video that can be read|has lost its end"):
            inspect(path)


def test_only_sound_is_a_sentence(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(PhotoError, match="holds no pictures"):
        inspect(path)


def test_a_playlist_named_like_a_video_opens_nothing_else(tmp_path):
    film(tmp_path / "secret.mp4", 5)
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n",
    ):
        (tmp_path / "a.mp4").write_text(text)
        with pytest.raises(PhotoError, match="is not a video that can be read"):
            inspect(tmp_path / "a.mp4")


def test_tiny_frames_are_refused(tmp_path):
    path = film(tmp_path / "a.mkv", 4, "ffv1", size=(24, 16))
    with pytest.raises(PhotoError, match="None of the 1 files"):
        brought_in(tmp_path / "c", path)


def test_a_bad_video_does_not_lose_the_photos(tmp_path):
    picture().save(tmp_path / "a.jpg")
    (tmp_path / "b.mp4").write_bytes(b"junk")
    capture, progress = brought_in(tmp_path / "c", tmp_path / "a.jpg", tmp_path / "b.mp4")
    assert [p.view for p in capture.photos()] == ["a"]
    assert progress.codes == ["video.unreadable"]


def test_cancelling_changes_nothing(tmp_path):
    class Impatient(Collecting):
        def on_change(self):
            if self.stage_name.startswith("Frames") and self.done == 25:
                self.cancel()

    path = film(tmp_path / "a.mp4", 60)
    capture, progress = Capture.create(tmp_path / "c"), Impatient()
    with capture.writing(), pytest.raises(Cancelled):
        add_photos(capture, [path], progress, IntakeOptions(every=5))
    assert progress.done == 25
    assert capture.photos() == ()
    assert not list((capture.root / ".staging").glob("*"))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_video(tmp_path):
    peaks = []
    for count in (20, 120):
        path = film(tmp_path / f"{count}.avi", count, "mpeg4", size=(640, 480))
        with Watch() as watch:
            for frame in sharpest_frames(path, 5, lambda _: False, lambda: None):
                assert frame.image.size == (640, 480)
        peaks.append(watch.most)
    # 100 more frames hold 92 MB as RGB, 46 MB as they are decoded.
    assert peaks[1] < peaks[0] + 20


def test_cancelling_while_a_large_file_is_hashed(tmp_path):
    path = film(tmp_path / "a.mp4", 10)

    def cancelled():
        raise Cancelled

    with pytest.raises(Cancelled):
        inspect(path, cancelled)


def test_less_than_every_frame_is_wrong_usage():
    with pytest.raises(UsageError):
        IntakeOptions(every=0)


def test_ten_bit_video(tmp_path):
    path = film(tmp_path / "a.mkv", 4, "ffv1", pixels="yuv420p10le")
    capture, _ = brought_in(tmp_path / "c", path, every=1)
    assert numbers(capture) == [0, 1, 2, 3]
    assert is_upright(read_rgb(capture.photo_path(capture.photos()[0])))


def test_options_reach_the_command_line_and_the_service(tmp_path, engine):
    path = film(tmp_path / "a.mp4", 12)
    command = [sys.executable, "-m", "mvsam_engine", "reconstruct", str(tmp_path / "none")]
    (tmp_path / "none" / "below").mkdir(parents=True)
    picture().save(tmp_path / "none" / "below" / "1.jpg")
    run = subprocess.run(
        [*command, "--capture", str(tmp_path / "c")], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "--recursive" in run.stderr
    masks = str(tmp_path / "nowhere")
    run = subprocess.run(
        [*command, "--recursive", "--masks", masks, "--capture", str(tmp_path / "c")],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "folder of masks" in run.stderr
    assert not (tmp_path / "c").exists()
    # One frame of twelve cannot be reconstructed, but it comes in, by the window that was asked.
    params = ReconstructParams(str(tmp_path / "c"), (str(path),), every=12)
    assert engine.ask("reconstruct", params).error.code.startswith("reconstruct")
    assert len(Capture.open(tmp_path / "c").photos()) == 1


def test_colours_are_right(tmp_path):
    path = film(tmp_path / "a.mp4", 2)
    frame = next(iter(sharpest_frames(path, 2, lambda _: False, lambda: None)))
    rgb = np.asarray(frame.image).astype(int)
    want = np.asarray(picture(width=WIDTH, height=HEIGHT)).astype(int)
    assert is_upright(np.asarray(frame.image))
    for rows, columns in ((slice(2, 12), slice(10, 80)), (slice(50, 60), slice(5, 40))):
        assert np.abs((rgb - want)[rows, columns].mean(axis=(0, 1))).max() < 6


def test_frames_of_video_and_masks(tmp_path):
    path = film(tmp_path / "a.mp4", 10)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "a_000003.png")
    capture, progress = brought_in(tmp_path / "c", path, every=1, masks=tmp_path / "masks")
    assert [p.view for p in capture.photos() if p.mask] == ["a_000003"]
    assert "9 of 10 photos have no mask" in " ".join(progress.messages)
