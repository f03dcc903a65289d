# SPDX-License-Identifier: GPL-3.0-or-later
"""Small wheels that pip really installs, made in a moment: an offline folder for tests."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, str] | None = None,
    requires: tuple[str, ...] = (),
) -> Path:
    """A pure wheel.

    Args:
        folder: where to put it.
        name: of the distribution.
        version: of it.
        files: path in site-packages to content; a module of the distribution's name otherwise.
        requires: what it depends on.
    """
    plain = name.replace("-", "_")
    content = dict(files or {f"{plain}.py": f"__version__ = {version!r}\n"})
    info = f"{plain}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    content[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    )
    content[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return target


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def offline_folder(folder: Path, engine_version: str = "9.8") -> tuple[Path, Path]:
    """An engine's wheel with one dependency, and a torch, all tiny; folder and the wheel."""
    wheels = folder / "wheels ü"
    make_wheel(wheels, "torch", "2.99")
    make_wheel(wheels, "small-helper", "1.0")
    text = f"import torch, small_helper\n__version__ = '{engine_version}'\n"
    init = {"mvsam_engine/__init__.py": text}
    engine = make_wheel(
        folder / "carried", "mvsam-engine", engine_version, init, ("small-helper>=1", "torch>=2.4")
    )
    return wheels, engine
