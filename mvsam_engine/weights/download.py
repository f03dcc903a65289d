# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a published checkpoint, only ever when a person asks: checked, resumable, whole."""

from __future__ import annotations

import http.client
import os
import urllib.request
from pathlib import Path
from typing import Any

from mvsam_engine.errors import WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.weights.official import OfficialCheckpoint
from mvsam_engine.weights.store import (
    MEGABYTE,
    blocks,
    check_content,
    digest_of,
    make_room,
    open_for_writing,
    publish,
    write,
)

TIMEOUT = 30  # seconds without a byte
# What a server answers that is asked to go on behind the end of a file.
NOTHING_MORE = http.client.REQUESTED_RANGE_NOT_SATISFIABLE
OFFLINE = ("MVSAM_OFFLINE", "HF_HUB_OFFLINE")


def download(entry: OfficialCheckpoint, progress: Progress) -> Path:
    """Fetch a checkpoint into the folder of weights; does nothing when it is there and right.

    The bytes gather in ``<file>.part``, which stays after a break, so that the next call goes on
    where this one stopped; the file gets its name when its hash is right.

    Args:
        entry: what to fetch.
        progress: counts megabytes.

    Returns:
        The file.

    Raises:
        WeightsError: no network or none wanted, the server refuses, a form must be filled in
            first, or what came is not `entry`.
        CaptureError: the folder cannot be written to.
        Cancelled: cancellation was asked for; what has come stays for the next call.
    """
    target = entry.path
    if entry.is_here() and _is_right(entry, progress):
        return target
    _refuse_offline(entry)
    partial = target.with_name(target.name + ".part")
    have = partial.stat().st_size if partial.is_file() else 0
    if entry.sha256 and have > entry.size:
        have = 0
    make_room(target, max(0, entry.size - have))
    if have < entry.size or not entry.sha256:
        try:
            _fetch(entry, partial, have, progress)
        except (OSError, http.client.HTTPException) as error:  # of the disk: CaptureError
            if not entry.sha256 and have and getattr(error, "code", 0) == NOTHING_MORE:
                return _finish(entry, partial, progress)
            raise _unreachable(entry, str(getattr(error, "reason", error) or error)) from error
    return _finish(entry, partial, progress)


def _finish(entry: OfficialCheckpoint, partial: Path, progress: Progress) -> Path:
    """Check what has come, and give it its name."""
    _check(entry, partial, progress)
    publish(partial, entry.path)
    return entry.path


def _is_right(entry: OfficialCheckpoint, progress: Progress) -> bool:
    """Whether the file that is there has the right content."""
    with entry.path.open("rb") as file:
        digest = digest_of(file, progress, f"Checking {entry.name}", entry.size)
    try:
        check_content(entry, entry.path, digest)
    except WeightsError:
        return False
    return True


def is_offline() -> bool:
    """Whether the person wants no network: MVSAM_OFFLINE, or HF_HUB_OFFLINE as other programs."""
    return any(os.environ.get(name, "") not in ("", "0") for name in OFFLINE)


def _refuse_offline(entry: OfficialCheckpoint) -> None:
    """Say how else the file comes, where it may not or cannot be fetched."""
    by_hand = (
        f"Open {entry.url.split('/resolve/')[0]} in a browser, download "
        f"{entry.url.rsplit('/', 1)[-1]}, and run `mvsam weights add FILE`."
    )
    if is_offline():
        raise WeightsError(
            "weights.offline",
            f"{entry.name!r} is not fetched, because {' or '.join(OFFLINE)} is set.",
            by_hand.replace("Open", "On a machine with a network, open"),
        )
    if entry.gated:
        raise WeightsError(
            "weights.gated",
            f"The authors of {entry.name!r} ask everybody to fill in a form first.",
            by_hand,
        )


def _fetch(entry: OfficialCheckpoint, partial: Path, have: int, progress: Progress) -> None:
    """Append what is missing to `partial`; starts over when the server cannot go on."""
    # The address is the catalogue's, never a person's or a file's.
    request = urllib.request.Request(entry.url, headers={"User-Agent": "mvsam"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        if not _goes_on(response, have):
            have = 0
        length = response.headers.get("Content-Length", "")
        # Where the catalogue does not know the size, the server does.
        size = have + int(length) if not entry.sha256 and length.isdigit() else entry.size
        if size > entry.size:
            make_room(partial, size - have)
        progress.stage(f"Fetching {entry.name}, MB", -(-size // MEGABYTE))
        progress.step(have // MEGABYTE)
        with open_for_writing(partial, "ab" if have else "wb") as out:
            for block in blocks(response):
                have += len(block)
                if have > size:
                    break  # the hash will say that this is something else
                write(out, block, partial)
                progress.step()
    if have < size:
        raise _unreachable(entry, f"the connection ended after {have:,} of {size:,} bytes")


def _goes_on(response: Any, have: int) -> bool:
    """Whether the server sends the file from byte `have` on, not from its beginning."""
    answer = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and answer.startswith(f"bytes {have}-")


def _check(entry: OfficialCheckpoint, partial: Path, progress: Progress) -> None:
    """Refuse, and remove, a complete file of another content."""
    with partial.open("rb") as file:
        digest = digest_of(file, progress, f"Checking {entry.name}", partial.stat().st_size)
    try:
        check_content(entry, partial, digest)
    except WeightsError:
        partial.unlink(missing_ok=True)
        raise


def _unreachable(entry: OfficialCheckpoint, why: str) -> WeightsError:
    return WeightsError(
        "weights.network",
        f"{entry.url} cannot be fetched: {why}.",
        f"Run `mvsam weights get {entry.name}` again to go on, or fetch the file elsewhere and run "
        f"`mvsam weights add {entry.name} FILE`.",
    )
