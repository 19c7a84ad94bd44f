"""Which picture becomes which file, decided before anything is sent: no two jobs may write to the same place."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import typer

from client.cli.options import Format

FORMATS: tuple[str, ...] = get_args(Format)
STDIN_NAME = "image"


@dataclass(frozen=True)
class Order:
    """One picture and where its mesh goes; a target of `None` is standard output."""

    name: str
    image: Path | bytes
    target: Path | None

    @property
    def preview_target(self) -> Path | None:
        return self.target.with_name(f"{self.target.stem}.preview.png") if self.target else None


def chosen_format(asked: str | None, output: str) -> str:
    """The format asked for, or the one that the output's name says, or GLB.

    Raises:
        typer.BadParameter: the two disagree.
    """
    said = Path(output).suffix.removeprefix(".").lower()
    if said not in FORMATS or Path(output).is_dir():
        return asked or "glb"
    if asked and asked != said:
        raise typer.BadParameter(f"--format {asked} does not fit --output {output}")
    return said


def orders(images: Sequence[str], output: str, format: str) -> list[Order]:
    """One order per picture: into the folder `output`, to the file of that name, or to standard output (`-`).

    A picture that cannot be read fails when its turn comes, so that the others are made.

    Raises:
        typer.BadParameter: no picture exists, or several cannot go to one place.
    """
    missing = [image for image in images if image != "-" and not Path(image).is_file()]
    if missing and len(missing) == len(images):
        raise typer.BadParameter(f"no such file: {', '.join(missing)}")
    if list(images).count("-") > 1:
        raise typer.BadParameter("standard input (-) can be only one of the pictures")
    single = output == "-" or Path(output).suffix.removeprefix(".").lower() in FORMATS
    if single and len(images) > 1 and not Path(output).is_dir():
        raise typer.BadParameter(f"{len(images)} pictures cannot all go to {output}; name a folder")
    if output == "-":
        return [Order(_name(images[0]), _content(images[0]), None)]
    if single and not Path(output).is_dir():
        return [Order(_name(images[0]), _content(images[0]), Path(output))]
    targets = _distinct([Path(_name(image)).stem for image in images], Path(output), format)
    return [Order(_name(image), _content(image), target) for image, target in zip(images, targets, strict=True)]


def _name(image: str) -> str:
    return STDIN_NAME if image == "-" else Path(image).name


def _content(image: str) -> Path | bytes:
    return sys.stdin.buffer.read() if image == "-" else Path(image)


def _distinct(stems: Sequence[str], folder: Path, format: str) -> list[Path]:
    """`a/cup.png` and `b/cup.jpg` become `cup.glb` and `cup-2.glb`."""
    taken: set[str] = set()
    targets = []
    for stem in stems:
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        targets.append(folder / f"{name}.{format}")
    return targets
