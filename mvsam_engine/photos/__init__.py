# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door for pixels: reading people's photos, upright and in 8-bit RGB."""
