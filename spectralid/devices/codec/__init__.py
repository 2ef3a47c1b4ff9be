"""Codecs: bytes to frames and back, one module per protocol. No clock, no line."""
