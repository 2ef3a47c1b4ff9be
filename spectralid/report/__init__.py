"""Documents for people and for other programs, made from what was recorded."""
