"""Tracks D (families) and G (calibration), which are commands of their own; here they join the run."""

from __future__ import annotations


class Unavailable(Exception):
    """Why a track was left out."""


def families(scale, jobs):
    raise Unavailable("not yet")


def calibration(folder, scale, jobs):
    raise Unavailable("not yet")
