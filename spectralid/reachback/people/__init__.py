"""Who uses the server: accounts, sessions, and the table of roles."""
