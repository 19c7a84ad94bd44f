"""`python -m client`: the `orfeas` command."""

from __future__ import annotations

from client.cli import main

if __name__ == "__main__":
    main()
