"""Makes the project's virtual environment ready before anything of it can be imported, with the standard library alone.

Does not know the service: what is started in the environment is `launch.py`'s one line. Three variables of the
environment are read here and not in `settings.py`, which cannot be imported yet; they stand in `./orfeas`.
"""
