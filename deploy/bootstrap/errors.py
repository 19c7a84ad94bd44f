"""Why an environment could not be made ready; the messages say what a person can do about it."""

from __future__ import annotations


class SetupError(Exception):
    """The environment is not usable; nothing else was changed."""


class PipFailed(SetupError):
    """A pip command ended with an error; the message carries the end of its output."""
