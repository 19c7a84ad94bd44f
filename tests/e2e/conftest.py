"""Fleets of real processes for the tests that use them."""

from __future__ import annotations

from tests.e2e.fleets import fleet, own_fleet, pytest_runtest_makereport

__all__ = ["fleet", "own_fleet", "pytest_runtest_makereport"]
