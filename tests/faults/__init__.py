"""Every fault that is planted on purpose: what must happen, which test shows it, and what it showed.

``python -m tests.faults`` runs all of it and writes docs/faults.md.
"""
