# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading JSON that others wrote: every field is checked, every refusal is a sentence."""

from __future__ import annotations

import math
from typing import Any, cast

from mvsam_engine.errors import MvsamError

JsonObject = dict[str, Any]


class Fields:
    """Typed access to a JSON object.

    Args:
        data: what `json.loads` gave.
        where: what is being read, for messages, e.g. ``"cameras.json"``.
        error: the `MvsamError` subclass to raise, with its code.
        code: stable code of the error.
    """

    def __init__(
        self, data: object, where: str, error: type[MvsamError], code: str = "json.field"
    ) -> None:
        self._where, self._error, self._code = where, error, code
        if not isinstance(data, dict):
            raise self._wrong("is not a JSON object")
        self._data = cast(JsonObject, data)

    def _wrong(self, what: str) -> MvsamError:
        return self._error(
            self._code, f"{self._where} {what}.", "It was damaged or not made by us."
        )

    def _get(self, key: str, default: object) -> object:
        if key in self._data:
            return self._data[key]
        if default is _REQUIRED:
            raise self._wrong(f"has no {key!r}")
        return default

    def text(self, key: str, default: object = None) -> str:
        """A string."""
        value = self._get(key, _REQUIRED if default is None else default)
        if not isinstance(value, str):
            raise self._wrong(f"has a {key!r} that is not text")
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number, at least 0."""
        value = self._get(key, _REQUIRED if default is None else default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(f"has a {key!r} that is not a whole number of at least 0")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._get(key, _REQUIRED if default is None else default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise self._wrong(f"has a {key!r} that is not a finite number")
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """A finite number, or None when absent or null."""
        return None if self._get(key, None) is None else self.number(key)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._get(key, _REQUIRED if default is None else default)
        if not isinstance(value, bool):
            raise self._wrong(f"has a {key!r} that is neither true nor false")
        return value

    def items(self, key: str, default: list[Any] | None = None) -> list[Any]:
        """A list."""
        value = self._get(key, _REQUIRED if default is None else default)
        if not isinstance(value, list):
            raise self._wrong(f"has a {key!r} that is not a list")
        return cast(list[Any], value)

    def mapping(self, key: str, default: JsonObject | None = None) -> JsonObject:
        """An object."""
        value = self._get(key, _REQUIRED if default is None else default)
        if not isinstance(value, dict):
            raise self._wrong(f"has a {key!r} that is not an object")
        return cast(JsonObject, value)

    def children(self, key: str) -> list[Fields]:
        """A list of objects, each as `Fields`; empty when absent."""
        return [
            Fields(item, f"{self._where} {key}[{i}]", self._error, self._code)
            for i, item in enumerate(self.items(key, []))
        ]

    def numbers(self, key: str, count: int | None = None) -> tuple[float, ...]:
        """A list of finite numbers, of `count` items when given."""
        values = self.items(key)
        good = all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
            for v in values
        )
        if not good or (count is not None and len(values) != count):
            raise self._wrong(f"has a {key!r} that is not {count or 'a list of'} finite numbers")
        return tuple(float(v) for v in values)

    def pairs(self, key: str) -> tuple[tuple[float, float], ...]:
        """A list of [x, y]; empty when absent."""
        found: list[tuple[float, float]] = []
        for i, pair in enumerate(self.items(key, [])):
            x, y = Fields({key: pair}, f"{self._where} {key}[{i}]", self._error).numbers(key, 2)
            found.append((x, y))
        return tuple(found)


_REQUIRED = object()
