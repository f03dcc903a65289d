# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m mvsam_engine` is the `mvsam` command."""

from mvsam_engine.cli import main

if __name__ == "__main__":
    main()
