"""What the cache costs, beside its peers: `python -m bench.cache` prints the tables.

The peers come from `pip install -r bench/cache/requirements.txt`; those that are missing are left out.
"""
