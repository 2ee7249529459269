"""Where the time of a training goes on this machine.

rates.py       what the device can do at best: multiply matrices, copy memory
stopwatch.py   time by the parts of a training step
reading.py     how fast images become samples
steps.py       how fast samples are trained on: by a bare loop, and by a training
scoring.py     how fast whole images are scored
verdict.py     what holds a training up, and what would help
"""
