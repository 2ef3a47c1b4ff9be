"""Clients: requests and answers over a line, with deadlines; one module per protocol."""
