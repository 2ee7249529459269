"""Settings that are searched for by trials, each a training in a process of its own:

space    what is varied
study    which values come next, by what is known of the trials so far
trial    a training, watched from outside
table    what came of all of them
"""

from ..errors import UserError

try:
    import optuna
except ModuleNotFoundError as error:
    raise UserError(f"search needs more packages: pip install 'segtrain[search]' ({error})") from None

optuna.logging.set_verbosity(optuna.logging.WARNING)
