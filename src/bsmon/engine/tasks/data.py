"""The data of a config: a built-in task or the person's own."""

from __future__ import annotations

from bsmon.config.schema import CatsVsDogsData, Config, DigitsData, LongTailData, NpzData, TextData
from bsmon.engine.tasks.cats_vs_dogs import build_cats_vs_dogs
from bsmon.engine.tasks.digits import build_digits
from bsmon.engine.tasks.long_tail import build_long_tail
from bsmon.engine.tasks.npz import build_npz
from bsmon.engine.tasks.own import build_own
from bsmon.engine.tasks.task import TaskData
from bsmon.engine.tasks.text import build_text


def build_data(config: Config) -> TaskData:
    """The data that [data] asks for. Built-in tasks draw from generators of their own: same seed, same data.

    Raises BadInput for what the person has to mend; errors of their own code pass through.
    """
    match config.data:
        case DigitsData() as section:
            return build_digits(config, section)
        case NpzData() as section:
            return build_npz(config, section)
        case TextData() as section:
            return build_text(config, section)
        case CatsVsDogsData() as section:
            return build_cats_vs_dogs(config, section)
        case LongTailData() as section:
            return build_long_tail(config, section)
        case section:
            return build_own(config, section)
