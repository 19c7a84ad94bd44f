"""The version of this tree, told by the API and the command line."""

VERSION = "0.1.0"
