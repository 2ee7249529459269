"""Which files of a folder belong together, in which splits."""
