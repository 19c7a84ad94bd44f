"""All tables, or those that are named: `python -m bench.cache local shared neighbours stampede`."""

from __future__ import annotations

import sys

from bench.cache import local, neighbours, shared, stampede

TABLES = {"local": local, "shared": shared, "neighbours": neighbours, "stampede": stampede}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        TABLES[name].main()
