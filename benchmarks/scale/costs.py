"""The inputs, from costs.toml: what was measured, and what is assumed of the load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

FILE: Final = Path(__file__).with_name("costs.toml")


class Measured(Struct, frozen=True, forbid_unknown_fields=True):
    """A cost that was measured, and the command that measures it again."""

    value: float
    unit: str
    command: str


class Assumed(Struct, frozen=True, forbid_unknown_fields=True):
    """A property of the load or of the hardware, and why this one."""

    value: float
    unit: str
    why: str


class Validation(Struct, frozen=True, forbid_unknown_fields=True):
    """What the simulation said of a run, and what the run took; seconds."""

    events: int
    predicted: float
    measured: float
    when: str


class Costs(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    measured: Mapping[str, Measured]
    assumed: Mapping[str, Assumed]
    validation: Validation

    def __getitem__(self, name: str) -> float:
        """The value of a cost or an assumption, in its own unit."""
        return (self.measured.get(name) or self.assumed[name]).value


def load(path: Path = FILE) -> Costs:
    """The inputs; raises msgspec.ValidationError, which names the field."""
    return msgspec.toml.decode(path.read_bytes(), type=Costs)
