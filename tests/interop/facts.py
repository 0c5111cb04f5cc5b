"""Where the standards leave room, or refusals are the answer: what both sides do with the same
packets. Differences that stay are in docs/verification.md."""

import re

import bed
import cases
from rig import ENDS, LINUX, SALINE, check, grown

FACTS = {}


def fact(function):
    FACTS[function.__name__.replace("_", " ")] = function
    return function


def key(rig, rows, name, shape, rng, auth=None, **options):
    """Both sides keyed with one transform."""
    row = next(row for row in rows if row.name == name)
    sign = next((row for row in rows if row.name == auth), None)
    transform = cases.Transform("esp", row, row.key_bits[0], sign)
    case = cases.Case([transform], shape, rng.random(), **options)
    rig.frames.clear()
    rig.setkey(case.setkey())
    rig.linux(case.linux())
    return case
