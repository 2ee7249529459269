"""Where the curves and pictures of a training go, besides `metrics.csv`: what conf/logger may name.

Each function takes the settings of its file, looks for what it needs before anything is written, and returns what opens
the logger once there is a run folder.
"""

from .choice import csv, mlflow, tensorboard, wandb

__all__ = ["csv", "mlflow", "tensorboard", "wandb"]
