"""`python -m regiontalk`: the same as the command `regiontalk`."""

from __future__ import annotations

from regiontalk.cli import main

if __name__ == "__main__":
    main()
