"""Bytes from outside, damaged on purpose: what reads them, seeds, and how they are changed."""
