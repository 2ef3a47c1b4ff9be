"""Soak: 24 simulated hours of the tablet, and of the server under load, watched from outside the process."""
