"""The parent ends a child that stands still, and no other."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from worker.guard import Guard, Ticks


@dataclass
class Child:
    index: int
    pid: int | None


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def test_a_child_that_ticks_is_left_alone_and_one_that_stopped_is_ended(ticks: Ticks) -> None:
    ended: list[int] = []
    guard = Guard(ticks, patience_s=5, end=ended.append)
    lives, stands = Child(0, 100), Child(1, 101)
    ticks.tick(1, 7)
    for number in range(1, 6):
        ticks.tick(0, number)
        guard.round([lives, stands])
    assert ended == []
    guard.round([lives, stands])
    assert ended == [101]
    guard.round([lives, stands])
    assert ended == [101], "once is enough"


def test_a_child_that_has_not_begun_may_load_for_as_long_as_it_takes(ticks: Ticks) -> None:
    guard = Guard(ticks, patience_s=2, end=pytest.fail)
    for _ in range(100):
        guard.round([Child(0, 100)])


def test_a_successor_in_the_same_place_starts_anew(ticks: Ticks) -> None:
    guard = Guard(ticks, patience_s=3, end=pytest.fail)
    ticks.tick(0, 9)
    for _ in range(3):
        guard.round([Child(0, 100)])
    for _ in range(3):
        guard.round([Child(0, 200)])


def test_ticks_of_a_child_are_seen_by_its_parent(ticks: Ticks) -> None:
    child = os.fork()
    if child == 0:
        ticks.tick(3, 42)
        os._exit(0)
    os.waitpid(child, 0)
    assert (ticks.read(3), ticks.read(2)) == (42, 0)
