"""The server's face: the application, who may ask for what, and every group of addresses."""
