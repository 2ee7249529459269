"""Run folders, and what is stored in them."""
