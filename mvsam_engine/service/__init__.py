# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop behind `mvsam serve`: requests on stdin, answers on stdout, logs on stderr."""

from mvsam_engine.service.server import serve

__all__ = ["serve"]
