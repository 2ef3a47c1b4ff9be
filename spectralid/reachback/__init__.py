"""Reachback: the server that takes in packets, the chemists who answer, the laboratory that confirms."""

from spectralid.reachback.client import connect

__all__ = ["connect"]
