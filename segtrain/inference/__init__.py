"""From images of any size and a network to masks."""
