"""Networks are scored on whole images, in a training and after it.

reopened     a run -> its network with its data, opened again
views        how the network is shown images: whole or in windows, mirrored, in several sizes
members      several networks scored together, or each on its fold
scorer       a network and a split -> SplitScore, on the screen and in files
split_score  what comes of it
verdict      a matrix -> what its score hides, and what to try
looking      an image -> what the network makes of it, for pictures
labels       the images -> the labels that the network contradicts most
reporting    SplitScore -> what the report on it shows
"""
