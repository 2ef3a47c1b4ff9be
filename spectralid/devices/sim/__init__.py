"""A simulated handheld: its own process, its own physics, the real protocol on a real serial line.

Nothing in here is shared with the code that judges its spectra: line shapes, axis error, background and noise
are modelled independently of preprocessing and matching, which would otherwise be tested against themselves.
"""
