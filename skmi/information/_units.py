"""Units of information."""

import math

__all__ = ["UNITS", "in_units"]

#: Nats in one unit.
UNITS = {"nats": 1.0, "bits": math.log(2)}


def in_units(value, units: str):
    """A value, or an array of values, in nats as a value in other units.

    Raises
    ------
    ValueError
        If the units are unknown.
    """
    if units not in UNITS:
        raise ValueError(f"units must be one of {sorted(UNITS)}, got {units!r}.")
    return value / UNITS[units]
