"""Tests, flat and named as sentences."""
