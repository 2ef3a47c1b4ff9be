"""The officer's tablet: the flow of field work as a Python object, and its screen as a local web page."""
