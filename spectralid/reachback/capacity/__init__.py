"""The capacity plan: how many chemists, and when."""
