# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders as people have them, and files that no reader should trust."""

import io
import os
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import (
    HEIGHT,
    STORED,
    WIDTH,
    Collecting,
    brought_in,
    exif_with,
    picture,
    saved,
    tiff_bytes,
)
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.capture.sources import is_photo, is_video, media_in
from mvsam_engine.errors import Cancelled, PhotoError
from mvsam_engine.photos import add_photos, find_photos, read_photo, read_rgb
from mvsam_engine.photos.ahead import ahead

# --- folders ----------------------------------------------------------------------------------


def tree(root):
    for name in (
        "left/IMG_10.jpg", "left/IMG_9.jpg", "right/IMG_9.jpg", "masks/IMG_9.png",
        "right/.hidden/x.jpg", "right/Thumbnails/IMG_9.jpg", "left/.IMG.jpg", "notes.txt",
        "right/deep/er/a.png",
    ):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (root / name).write_text("words")
        else:
            picture(len(name) + sum(name.encode()) % 30).save(root / name)
    return root


def test_folders_below_are_searched_when_asked(tmp_path):
    capture, progress = brought_in(tmp_path / "c", tree(tmp_path / "p"), recursive=True)
    names = ["left/IMG_9.jpg", "left/IMG_10.jpg", "right/IMG_9.jpg", "right/deep/er/a.png"]
    assert [p.original_name for p in capture.photos()] == names
    assert [p.view for p in capture.photos()] == ["IMG_9", "IMG_10", "IMG_9_jpg", "a"]
    assert progress.codes == []


def test_without_it_the_remedy_names_the_option_and_a_folder(tmp_path):
    with pytest.raises(PhotoError, match="but 4 in folders below it") as caught:
        find_photos([tree(tmp_path / "p")])
    assert "--recursive" in caught.value.remedy
    assert "left" in caught.value.remedy


def test_a_named_folder_of_masks_is_still_searched(tmp_path):
    assert len(media_in(tree(tmp_path / "p") / "masks")) == 1


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_to_folders_do_not_lead_in_circles(tmp_path):
    root = tree(tmp_path / "p")
    (root / "left" / "again").symlink_to(root, target_is_directory=True)
    assert len(media_in(root, recursive=True)) == 4


def test_suffixes_without_regard_to_case():
    assert is_photo(Path("A.HEIC")) and is_photo(Path("a.avif")) and not is_photo(Path("a.mp4"))
    assert is_video(Path("A.MOV")) and is_video(Path("a.webm")) and not is_video(Path("a.jpg"))


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Übung 写真 🏺.jpg", "  spaces  .jpg", "a" * 246 + ".jpg", "con.jpg", "x#%&{}.jpg",
             "写" * 80 + ".jpg"],
)  # fmt: skip
def test_any_name_comes_in_and_can_be_read(tmp_path, name):
    capture, progress = brought_in(tmp_path / "c", saved(tmp_path / name, picture()))
    (photo,) = Capture.open(capture.root).photos()
    assert photo.original_name == name
    assert read_rgb(capture.photo_path(photo)).shape == (HEIGHT, WIDTH, 3)
    again, _ = brought_in(tmp_path / "c", tmp_path / name)
    assert len(again.photos()) == 1
    assert progress.codes == []


def test_long_names_that_differ_at_the_end_stay_apart(tmp_path):
    for i in range(3):
        saved(tmp_path / f"{'a' * 200}{i}.jpg", picture(i))
    capture, _ = brought_in(tmp_path / "c", *sorted(tmp_path.glob("*.jpg")))
    assert len({p.view for p in capture.photos()}) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_comes_in(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG")
    with open(path, "wb") as file:  # noqa: PTH123 - bytes
        file.write(buffer.getvalue())
    capture, _ = brought_in(tmp_path / "c", Path(os.fsdecode(path)))
    assert len(Capture.open(capture.root).photos()) == 1


def test_a_read_only_photo_comes_in(tmp_path):
    path = saved(tmp_path / "a.jpg", picture())
    path.chmod(0o400)
    capture, _ = brought_in(tmp_path / "c", path)
    assert len(capture.photos()) == 1


# --- bad files --------------------------------------------------------------------------------


def png_header(width, height):
    """A PNG that says it is huge, with next to nothing in it."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content)
        + chunk(b"IEND", b"")
    )


def cut_jpeg(share):
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()[: int(len(buffer.getvalue()) * share)]


BAD = {
    "empty.jpg": (b"", "photo.unreadable"),
    "text.jpg": (b"I am not a photo. " * 50, "photo.unreadable"),
    "cut.jpg": (cut_jpeg(0.5), "photo.damaged"),
    "nearly.jpg": (cut_jpeg(0.97), "photo.damaged"),
    "bomb.png": (png_header(60000, 60000), "photo.huge"),
    "hollow.png": (png_header(2000, 2000), "photo.damaged"),
    "bomb.tif": (b"II*\0\x08\0\0\0\x05\0" + b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in ((256, 60000), (257, 60000), (258, 16), (273, 8), (277, 3))
    ) + bytes(4), "photo.huge"),
    "bomb.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "photo.unreadable"),
    "cut.tif": (b"II*\0\xff\xff\xff\x7f", "photo.unreadable"),
    "deep.tif": (b"MM\0*\0\0\0\x08\0\x01", "photo.unreadable"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_a_sentence(tmp_path, name):
    content, code = BAD[name]
    (tmp_path / name).write_bytes(content)
    began = time.monotonic()
    for read in (read_rgb, lambda path: read_photo(path, path.read_bytes())):
        with pytest.raises(PhotoError) as caught:
            read(tmp_path / name)
        assert caught.value.code == code
        assert caught.value.message.startswith(name)
        assert caught.value.remedy
    assert time.monotonic() - began < 5


def test_a_program_for_a_printer_is_not_run(tmp_path):
    buffer = io.BytesIO()
    picture().save(buffer, "EPS")
    for name in ("a.jpg", "a.eps"):
        (tmp_path / name).write_bytes(buffer.getvalue())
        with pytest.raises(PhotoError, match="is not a photo that can be read"):
            read_rgb(tmp_path / name)


def encoded(kind, **options):
    buffer = io.BytesIO()
    picture().save(buffer, kind, **options)
    return buffer.getvalue()


SEEDS = {
    "a.jpg": encoded("JPEG", exif=exif_with(6)),
    "a.png": encoded("PNG"),
    "a.heic": encoded("HEIF", exif=exif_with(6).tobytes()),
    "a.webp": encoded("WEBP"),
    "a.tif": encoded("TIFF"),
    "deep.tif": tiff_bytes(np.asarray(picture()).astype(np.uint16) * 257, 6),
    "float.tif": tiff_bytes(np.asarray(picture()).astype(np.float32), 3, True),
}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(SEEDS)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.3, 1.0),
)
def test_damaged_bytes_give_a_photo_or_a_sentence(name, changes, share):
    data = bytearray(SEEDS[name])
    for at, value in changes:
        data[at % len(data)] = value
    if share < 0.6:
        data = data[: int(len(data) * share / 0.6)]
    try:
        photo = read_photo(Path(name), bytes(data))
    except PhotoError as error:
        assert error.message.startswith(name)
        assert error.message.endswith(".")
        assert "\n" not in error.message
    else:
        assert Image.open(io.BytesIO(photo.data)).size == (photo.width, photo.height)


def test_one_pixel_is_too_small(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGB", (1, 1)))
    with pytest.raises(PhotoError, match="only 1 x 1 pixels"):
        read_rgb(path)


def test_every_cut_of_a_jpeg_is_found_although_it_is_only_skimmed(tmp_path):
    buffer = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 255, (200, 300, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    whole = buffer.getvalue()
    for cut in range(len(whole) // 2, len(whole) - 600, 997):
        with pytest.raises(PhotoError, match="cut short"):
            read_photo(tmp_path / "a.jpg", whole[:cut])
    assert read_photo(tmp_path / "a.jpg", whole).data == whole


def test_a_black_photo_comes_in(tmp_path):
    capture, progress = brought_in(
        tmp_path / "c", saved(tmp_path / "cap on.jpg", Image.new("RGB", (80, 60)))
    )
    assert len(capture.photos()) == 1
    assert progress.codes == []


def test_a_folder_named_like_a_photo_and_a_pipe_are_no_photos(tmp_path):
    folder = tmp_path / "p"
    (folder / "a.jpg").mkdir(parents=True)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "b.jpg")  # reading it would wait for ever
    saved(folder / "c.jpg", picture())
    assert [s.name for s in find_photos([folder])] == ["c.jpg"]


def test_a_photo_that_vanishes_is_named_and_left_out(tmp_path, monkeypatch):
    saved(tmp_path / "a.jpg", picture())
    saved(tmp_path / "b.jpg", picture(1))
    real = Path.read_bytes

    def vanishing(path):
        if path.name == "b.jpg":
            raise FileNotFoundError(2, "No such file or directory")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", vanishing)
    capture, progress = brought_in(tmp_path / "c", tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert [p.view for p in capture.photos()] == ["a"]
    assert "b.jpg cannot be opened" in progress.messages[0]


# --- large photos -----------------------------------------------------------------------------


def memory_mb():
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch:
    """Largest resident memory while the block ran, over that at its beginning, MB."""

    def __enter__(self):
        self._stop, self.most, self._begin = threading.Event(), 0.0, memory_mb()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self):
        while not self._stop.wait(0.005):
            self.most = max(self.most, memory_mb() - self._begin)

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_100_megapixels_come_in_without_being_decoded_whole(tmp_path):
    tile = Image.fromarray(np.random.default_rng(3).integers(0, 255, (50, 60, 3), np.uint8))
    huge = tile.resize((12000, 9000), Image.Resampling.BILINEAR)
    path = saved(tmp_path / "a.jpg", huge, quality=80)
    del huge
    with Watch() as watch:
        capture, _ = brought_in(tmp_path / "c", path)
        photo = capture.photos()[0]
        small = read_rgb(capture.photo_path(photo), at_least=1600)
    assert (photo.width, photo.height) == (12000, 9000)
    assert small.shape == (2250, 3000, 3)
    assert watch.most < 120  # whole, its pixels alone take 309 MB


# --- several at a time ------------------------------------------------------------------------


def test_order_and_counts_do_not_depend_on_threads(tmp_path, monkeypatch):
    folder = tmp_path / "p"
    folder.mkdir()
    for i in range(12):
        saved(folder / f"{i}.png", picture(i, width=80 + 40 * (12 - i)))
    (folder / "5b.jpg").write_bytes(b"junk")
    (folder / "7b.png").write_bytes((folder / "7.png").read_bytes())
    for threads in (1, 2, 8):
        monkeypatch.setattr("os.cpu_count", lambda n=threads: n)
        capture, progress = brought_in(tmp_path / f"c{threads}", folder)
        assert [p.view for p in capture.photos()] == [str(i) for i in range(12)]
        assert progress.codes == ["photo.unreadable", "photo.duplicate"]
        assert progress.done == progress.total == 14


def test_only_a_few_results_wait(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    lock, begun, most, taken = threading.Lock(), 0, 0, 0

    def work(item):
        nonlocal begun
        with lock:
            begun += 1
        return item * 2

    for item, result in ahead(work, range(50)):
        time.sleep(0.002)
        most = max(most, begun - taken)
        assert result() == item * 2
        taken += 1
    assert taken == 50
    assert most <= 5


def test_cancelling_stops_reading_and_changes_nothing(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    for i in range(8):
        saved(folder / f"{i}.png", picture(i))

    class Impatient(Collecting):
        def on_change(self):
            if self.done == 3:
                self.cancel()

    capture = Capture.create(tmp_path / "c")
    with capture.writing(), pytest.raises(Cancelled):
        add_photos(capture, [folder], Impatient())
    assert capture.photos() == ()
    assert not list((capture.root / ".staging").glob("*"))


def test_portrait_and_landscape_come_in_together(tmp_path):
    for i, orientation in enumerate((1, 6, 8, 3)):
        stored = STORED[orientation](picture(i, *((60, 80) if orientation in (6, 8) else (80, 60))))
        saved(tmp_path / f"{i}.jpg", stored, exif=exif_with(orientation))
    capture, _ = brought_in(tmp_path / "c", *sorted(tmp_path.glob("*.jpg")))
    assert [(p.width, p.height) for p in capture.photos()] == [
        (80, 60),
        (60, 80),
        (60, 80),
        (80, 60),
    ]
    assert [p.orientation for p in capture.photos()] == [1, 6, 8, 3]
