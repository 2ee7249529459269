"""New images are predicted.

images     what a person names -> the images and films that this means
stills     the images among them -> as the network takes them, read by processes ahead of it
sight      those that are computed at once -> what a network makes of them
written    what a network makes of an image -> the files that are written of it
journal    what of it is done, so that the same command goes on where it was stopped
"""
