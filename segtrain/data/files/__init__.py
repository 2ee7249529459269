"""Files become arrays."""
