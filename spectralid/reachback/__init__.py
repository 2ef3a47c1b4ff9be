"""Reachback: the server that takes in packets, the chemists who answer, the laboratory that confirms."""
