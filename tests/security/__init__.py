"""What strangers may try, and what stands in their way."""
