"""Checks on the batch size."""

from __future__ import annotations

from bsmon.advisor.bounds import BATCHNORM_FLOOR, BATCHNORM_PREFERRED
from bsmon.advisor.checking import Setup, Verdict, ok, problem, unknown, warning
from bsmon.advisor.updates_per_epoch import GOOD, OK, UpdatesVerdict, largest_batch_size, updates_verdict

GIB = 1 << 30

USUAL = (8, 256)  # C part 11: "batch size in [8, 256] range?"
SMALL_DATA, SMALL_DATA_BATCH = 1000, (8, 32)  # C part 6
LARGE_DATA, LARGE_DATA_BATCH = 100_000, (64, 256)  # C part 6
STILL_FINE = 64  # A section 4: 16-64 for 480 samples, where C part 6 says 8-32
DOMAINS = {"images": (32, 128), "text": (16, 64)}  # C part 6
# C part 6: "4GB: 16-32 (typical), 8GB: 32-64, 16GB+: 64-128+". Sold sizes are a little below what they are called.
MEMORY = ((14 * GIB, (64, 128)), (7 * GIB, (32, 64)), (3 * GIB, (16, 32)))


def updates(setup: Setup) -> Verdict:
    """A section 2: 10 to 100 updates per epoch; its verdicts for 480 samples come out exactly."""
    size, batch = setup.dataset_size, setup.batch_size
    if size is None or batch is None:
        return unknown("the training set's size and the batch size")
    if batch > size:
        return problem(f"batch {batch} is larger than the training set of {size:,}", f"Use {size} or less.")
    verdict = updates_verdict(size, batch)
    found = f"{size:,} / {batch} = {size / batch:.3g} updates per epoch: {verdict.value}"
    if verdict is UpdatesVerdict.TOO_FEW:
        return problem(found, f"Use batch {largest_batch_size(size)} or less; {GOOD} to 100 are best.")
    if verdict is UpdatesVerdict.MARGINAL:
        return warning(found, f"Use batch {largest_batch_size(size)} or less, for {OK} updates or more.")
    return ok(found)


def dataset_batch(setup: Setup) -> Verdict:
    """C part 6 by the data set's size, and A section 4 where it allows more."""
    size, batch = setup.dataset_size, setup.batch_size
    if size is None or batch is None:
        return unknown("the training set's size and the batch size")
    if size < SMALL_DATA:
        low, high = SMALL_DATA_BATCH
        if high < batch <= STILL_FINE and size / batch >= OK:
            return ok(f"batch {batch}: above {high}, but still {size / batch:.1f} updates per epoch")
    else:
        low, high = LARGE_DATA_BATCH if size > LARGE_DATA else USUAL
    return _within(batch, low, high, f"{size:,} samples")


def domain_batch(setup: Setup) -> Verdict:
    """C part 6: images 32-128, text 16-64."""
    if setup.batch_size is None or setup.domain is None:
        return unknown("the batch size and [data] domain")
    if setup.domain not in DOMAINS:
        return ok("no rule for this kind of data")
    return _within(setup.batch_size, *DOMAINS[setup.domain], setup.domain)


def memory_batch(setup: Setup) -> Verdict:
    """C part 6 by GPU memory: a starting point only, which any measured forecast overrides."""
    batch = setup.micro_batch_size or setup.batch_size
    if setup.memory_measured is not None:
        if setup.memory_measured:
            return ok("a measured forecast says that it fits")
        return problem("a measured forecast says that it does not fit", "Use a smaller micro batch and accumulate.")
    if batch is None or setup.memory_bytes is None:
        return unknown("a GPU, or its memory")
    for least, (low, high) in MEMORY:
        if setup.memory_bytes >= least:
            found = f"micro batch {batch} with {setup.memory_bytes / GIB:.0f} GiB; usual is {low}-{high}"
            return ok(found) if batch <= high else warning(found, "See whether it fits; else accumulate.")
    return warning("less than 4 GiB of memory", "Use the smallest batch that fits, and accumulate.")


def batch_range(setup: Setup) -> Verdict:
    """C part 11."""
    if setup.batch_size is None:
        return unknown("the batch size")
    return _within(setup.batch_size, *USUAL, "most problems")


def batchnorm_floor(setup: Setup) -> Verdict:
    """C part 9, on the micro batch, since BatchNorm sees one forward pass."""
    micro = setup.micro_batch_size or setup.batch_size
    if setup.has_batchnorm is None or micro is None:
        return unknown("the model and the batch size")
    if not setup.has_batchnorm:
        return ok("no BatchNorm")
    found = f"BatchNorm with {micro} samples per forward pass"
    if micro == 1:
        return problem(found, "It fails with one sample: use 32, or LayerNorm or GroupNorm.")
    if micro < BATCHNORM_FLOOR:
        return problem(found, f"Use {BATCHNORM_FLOOR} or more, or LayerNorm or GroupNorm.")
    return ok(found if micro >= BATCHNORM_PREFERRED else f"{found}; {BATCHNORM_PREFERRED} is better")


def _within(batch: int, low: int, high: int, what: str) -> Verdict:
    found = f"batch {batch}; {low}-{high} for {what}"
    if batch < low:
        return warning(found, f"Try {low} or more.")
    return warning(found, f"Try {high} or less.") if batch > high else ok(found)
