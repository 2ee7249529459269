"""The class table that masks without one ask for."""
