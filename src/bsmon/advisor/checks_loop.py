"""Checks on the loop around the model, and those that only a running training can answer."""

from __future__ import annotations

from bsmon.advisor.checking import Setup, Verdict, ok, problem, unknown, warning

VERY_LITTLE_DATA = 500  # A section 3, first row
SIMILAR = 2.0  # C part 10, mistake 4: "same or similar batch sizes"
SIZES_FOR_A_LIGHT_CHECK = 3  # B section 5: "compare 16 vs 32 vs 64"


def shuffled(setup: Setup) -> Verdict:
    """C part 10, mistake 3: without shuffling the first batch may be all cats, the second all dogs."""
    if setup.weighted_sampler:
        return ok("the sampler draws at random")
    if setup.shuffle is None:
        return unknown("[train] shuffle")
    return ok("shuffled") if setup.shuffle else problem("the data are not shuffled", "Set [train] shuffle = true.")


def shuffled_by_loader(setup: Setup) -> Verdict:
    """C part 11: "using shuffle=True in DataLoader?", so that every epoch has another order."""
    if not setup.weighted_sampler and setup.shuffle is None:
        return unknown("[train] shuffle")
    if setup.weighted_sampler or setup.shuffle:
        return ok("every epoch has an order of its own")
    return problem("every epoch has the same order", "Set [train] shuffle = true.")


def last_batch(setup: Setup) -> Verdict:
    """C part 10, mistake 1: the last batch of an epoch is short where the sizes do not divide."""
    if setup.dataset_size is None or setup.batch_size is None or setup.drop_last is None:
        return unknown("the training set's size, the batch size and [train] drop_last")
    rest = setup.dataset_size % setup.batch_size
    if rest == 0:
        return ok("the batch size divides the training set")
    if setup.drop_last:
        return ok(f"the last {rest} samples of an epoch are left out")
    found = f"the last batch of an epoch has {rest} of {setup.batch_size} samples"
    if setup.has_batchnorm and rest == 1:
        return problem(f"{found}, and BatchNorm fails on one", "Set [train] drop_last = true.")
    if rest >= setup.batch_size / SIMILAR:
        return ok(found)
    return warning(found, "Set [train] drop_last = true, or choose a batch size that divides the training set.")


def validation_batch(setup: Setup) -> Verdict:
    """C part 10, mistake 4: another batch size in validation shifts BatchNorm, unless it is in eval mode."""
    if setup.eval_mode:
        return ok("eval mode: the validation batch changes no result")
    if setup.has_batchnorm is False:
        return ok("no BatchNorm: the validation batch changes no result")
    if setup.eval_mode is None or setup.eval_batch_size is None or setup.batch_size is None:
        return unknown("the validation batch size and mode")
    times = setup.eval_batch_size / setup.batch_size
    found = f"validation batch {setup.eval_batch_size}, training batch {setup.batch_size}"
    if 1 / SIMILAR <= times <= SIMILAR:
        return ok(found)
    return warning(found, "Validate in eval mode, or with a similar batch size.")


def regularised(setup: Setup) -> Verdict:
    """A section 3: little data needs more regularisation."""
    if setup.dataset_size is None:
        return unknown("the training set's size")
    if setup.dataset_size >= VERY_LITTLE_DATA:
        return ok(f"{setup.dataset_size:,} samples")
    if setup.weight_decay is None and setup.dropout is None:
        return unknown("weight decay and dropout")
    if (setup.weight_decay or 0) > 0 or (setup.dropout or 0) > 0:
        return ok("little data, but regularised")
    return warning(
        f"only {setup.dataset_size} samples and no regularisation", "Add weight decay or dropout, or a smaller model."
    )


def larger_batches(setup: Setup) -> Verdict:
    """C part 11: test with larger batches if possible; B section 5: comparing 16, 32 and 64 is enough."""
    if setup.sizes_run is None:
        return unknown("a comparison; bsmon sweep --light runs 16, 32 and 64")
    if setup.sizes_run >= SIZES_FOR_A_LIGHT_CHECK:
        return ok(f"{setup.sizes_run} sizes run")
    return warning(
        f"{setup.sizes_run} size{'' if setup.sizes_run == 1 else 's'} run",
        "Compare 16, 32 and 64: bsmon sweep --light.",
    )


def gradient_norms(setup: Setup) -> Verdict:
    """C part 11: monitor gradient norms."""
    if setup.gradient_norms_usual is None:
        return unknown("a running training")
    if setup.gradient_norms_usual:
        return ok("usual")
    return warning("gradient norms are too large or too small", "Set [train] grad_clip, or another learning rate.")


def oscillating(setup: Setup) -> Verdict:
    """C part 11: increase the batch size; the tree tells noise from a step that is too long."""
    unstable = setup.health.unstable
    if unstable is None:
        return unknown("a running training")
    if not unstable:
        return ok("steady")
    return problem("the loss is unstable", "A larger batch if noise is the cause, else a lower learning rate.")


def barely_moving(setup: Setup) -> Verdict:
    """C part 11: decrease the batch size."""
    still = setup.health.barely_moving
    if still is None:
        return unknown("a running training")
    return warning("the loss barely moves", "A smaller batch, or another learning rate.") if still else ok("it moves")
