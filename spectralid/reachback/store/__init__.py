"""The record: the database and its tables, the server's keys, receipts, the audit log."""
