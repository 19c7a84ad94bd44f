"""How a file marks colour, opacity and samples of more than 8 bits, made into what every picture here has.

It opens no uploads and bounds none: `jobs.pictures` does, before anything here runs.
"""
