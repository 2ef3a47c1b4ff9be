"""The library loop: candidates, two approvals, the held-out regression set, signed releases."""
