"""What holds a training up, in a sentence, and what would help."""

import math
from typing import NamedTuple

from ..data.workers import cores
from ..text import counted
from .reading import Reading
from .steps import Step

SLOWER = 0.95  # share of the images a second in memory below which a training is slower than that
WAITING = 0.05  # share of the time for which a training waits that is held up by reading
SHOWN = 3  # parts of a step


class Facts(NamedTuple):
    """What was measured, in images a second, and what the images take in memory."""

    trained: float  # with reading, as in `train`
    waited: float  # share of the time for which that waits for images
    in_memory: float  # the same steps on batches in memory
    reading: Reading
    step: Step
    cached: bool  # whether decoded images are kept
    decoded_bytes: int  # of all images and masks, decoded; 0 where none are kept
    memory: int  # bytes that all processes here may take up together
    device: str

    @property
    def is_slower(self) -> bool:
        """Whether the training with reading makes fewer images a second than on batches in memory."""
        return self.trained < SLOWER * self.in_memory


def sentence(facts: Facts) -> str:
    """What matters. A wait alone does not hold up a training whose GPU has enough to do, and a training may be slower
    without waiting, where others take its cores."""
    speed = f"{facts.trained:.0f} of {facts.in_memory:.0f} images/s"
    if facts.is_slower and facts.waited > WAITING:
        ways = [*more_workers(facts), *cache(facts)]
        return f"held up by reading: {speed}; {' or '.join(ways) if ways else 'smaller image files would help'}"
    if facts.is_slower:
        workers = f"its {counted(facts.reading.workers, 'worker')} or " if facts.reading.workers else ""
        reason = f"held up by {workers}other work on the same cores: {speed}, without waiting for images"
        return "; ".join([reason, *cache(facts)])
    parts = sorted(facts.step.parts.items(), key=lambda part: -part[1])[:SHOWN]
    total = facts.step.seconds
    shares = ", ".join(f"{part} {100 * seconds / total:.0f} %" for part, seconds in parts)
    return f"held up by computing, as it should be: {facts.trained:.1f} images/s, of a step {shares}"


def more_workers(facts: Facts) -> list[str]:
    """The setting by which more processes read, with what that leads to, if there are cores for them."""
    wanted = math.ceil(facts.in_memory / facts.reading.per_worker)
    most = min(wanted, cores() - 1)
    if facts.device == "cpu" or most <= facts.reading.workers:
        return []
    reached = min(facts.in_memory, most * facts.reading.per_worker)
    return [f"data.workers={most} lifts it to about {reached:.0f}"]


def cache(facts: Facts) -> list[str]:
    """The setting by which images are decoded once, if they fit into memory and decoding takes the longest."""
    fits = 0 < facts.decoded_bytes < facts.memory / 2
    if facts.cached or not fits or facts.reading.decoded >= 2 * facts.reading.per_worker:
        return []
    return [f"data.cache=ram ({facts.decoded_bytes / 2**30:.1f} GiB) spares the decoding"]
