# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for other programs, one module per target; `targets` names them all.

Convention: every target says which photos its names and pixels refer to (`photo_files`), in which
world its cameras and points are (`world`), and writes whole results or nothing (`folder`).
docs/exports.md is the same for people.
"""
