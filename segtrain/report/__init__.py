"""What people are shown, and the files of a score."""
