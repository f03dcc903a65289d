# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for other programs, one module per target."""
