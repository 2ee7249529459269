"""What all files of a data set hold, as numbers."""
