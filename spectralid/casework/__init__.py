"""The record of field work: sealed packets, custody log, outbox, and what comes back."""
