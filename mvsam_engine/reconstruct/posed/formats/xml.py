# SPDX-License-Identifier: GPL-3.0-or-later
"""XML of strangers: no entities, no document type, bounded depth.

A document type may define entities that blow a small file up to gigabytes, or that read other
files. No format of cameras needs one, so any is refused.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.formats.common import damaged, read_bytes

_DEEPEST = 64


def read_xml(path: Path) -> Element:
    """The root element; names carry their namespace as ``{uri}name``.

    Raises:
        ReconstructionError: not XML, or with a document type.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    depth = 0

    def full(name: str) -> str:
        return "{" + name if "}" in name else name

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise damaged(path.name, f"nests elements more than {_DEEPEST} deep")
        builder.start(full(name), {full(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(full(name))

    def refuse(*_: object) -> None:
        raise damaged(path.name, "holds a document type or entities, which no camera file needs")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(read_bytes(path), True)
        return builder.close()
    except ReconstructionError:
        raise
    # Beside expat's own error, broken encodings raise others.
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise damaged(path.name, f"is not whole XML: {error}") from error


def text_of(element: Element, name: str) -> str | None:
    """Text of the child `name`, None when absent."""
    child = element.find(name)
    return None if child is None else (child.text or "")
