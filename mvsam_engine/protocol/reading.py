# SPDX-License-Identifier: GPL-3.0-or-later
"""How messages are read, whatever they are about."""

from __future__ import annotations

from mvsam_engine.errors import ProtocolError
from mvsam_engine.fields import Fields


def fields_of(data: object, where: str) -> Fields:
    """The fields of a message called `where`, whose errors name it."""
    return Fields(data, f"The message {where!r}", ProtocolError, "protocol.field")


def texts_of(fields: Fields, key: str) -> tuple[str, ...]:
    """The texts of a list, empty when there is none.

    Raises:
        ProtocolError: one of them is not text.
    """
    values = fields.items(key, [])
    for value in values:
        if not isinstance(value, str):
            raise ProtocolError(
                "protocol.field", f"{key!r} of a message holds something that is not text."
            )
    return tuple(str(v) for v in values)
