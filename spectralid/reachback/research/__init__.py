"""Re-search: the archive of scans against what changed in a library."""
