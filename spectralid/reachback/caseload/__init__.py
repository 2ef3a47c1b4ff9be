"""Cases: their states and their hour, the queue, and leases under fencing tokens."""
