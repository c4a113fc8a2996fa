"""What the screen shows about a node on request: the guidelines' reasoning and its trade-offs, in plain words."""

from __future__ import annotations

EXPLANATIONS: dict[str, str] = {
    "threads": (
        "On a CPU the first thing to look at is threads, not the batch size. When torch computes on every core and "
        "anything else is busy, each step waits for the slowest thread, and training can be 20 to 200 times slower. "
        "Leave a core free ([run] threads)."
    ),
    "stability": (
        "C, part 10: if the loss oscillates wildly, increase the batch size (64 or 128): averaging more samples "
        "steadies the gradient. B, section 5: if there are spikes or NaN, a smaller batch may help. They disagree, so "
        "the evidence decides. Where gradient noise is larger than the gradient itself, noise is the cause, and a "
        "larger batch at the same learning rate helps. Where it is not, or the loss is NaN or lost its progress, the "
        "step is too long: lower the learning rate first. Noise at small batches is normal: only rises beyond "
        "chance count."
    ),
    "barely_moving": (
        "C, part 11: if the loss barely moves, decrease the batch size: a smaller batch makes more updates per epoch, "
        "and its noise helps to leave a flat stretch. The learning rate stays as it is here, since scaling it down "
        "would take back what the smaller batch gives. If the batch is small already, the learning rate matters more "
        "(B, section 5): a range test (bsmon lr-find) finds one in a minute (C, part 10)."
    ),
    "norms": (
        "C, part 11: monitor gradient norms, too large or too small. A norm far above its usual size is a step that "
        "may undo what was learned: clip it ([train] grad_clip). An update that changes the weights by less than a "
        "millionth teaches nothing. The documents give no numbers; these thresholds are bsmon's own."
    ),
    "speed": (
        "C, part 10: if training is too slow, look at the GPU's utilisation: low means that a larger batch is nearly "
        "free, high means keep the present size. B, section 5, adds: and memory must be low. A larger batch saves the "
        "fixed cost of a step, which is paid once however many samples there are, but each sample is then worth less."
    ),
    "data_wait": (
        "Low utilisation is not always a small batch. A step that waits for data waits for a larger batch just as "
        "long, in proportion. More worker processes ([train] num_workers) and pinned memory help; batch size does not."
    ),
    "critical_batch": (
        "C, part 8: beyond the critical batch size a larger batch buys nothing, even with the best learning rate. The "
        "gradient noise scale estimates it (McCandlish et al. 2018): far below it, twice the batch is nearly twice "
        "the progress per update; far above it, nearly none. It grows while training goes on."
    ),
    "updates_per_epoch": (
        "A, section 2: updates per epoch = training samples / batch size; aim for 10 to 100. The document's table for "
        "480 samples: batch 32 (15) good, 64 (7-8) OK, 128 (3-4) marginal, 240 (2) too few. With too few updates the "
        "model barely learns in an epoch, however exact each update is. Advice for speed ends where updates are OK, "
        "at marginal where the noise scale is measured and validation keeps up with training, never at too few."
    ),
    "goodput": (
        "How far to go: samples per second times the worth of a sample. A larger batch raises the first and lowers "
        "the second; their product is largest at B* = sqrt(a/b x noise scale), where a is the fixed cost of a step and "
        "b the cost of a sample. It is flat: a factor of two off costs at most 11 %, so nothing is said below that. "
        "B, section 5: batch size is secondary to learning rate, weight decay, epochs and data."
    ),
    "gap": (
        "C, part 10: if test accuracy is much lower than train, try a smaller batch (16 or 8): its noise may lead to "
        "flatter minima, which generalise better (C, part 8). B, section 5, calls batch size secondary. So at 32 or "
        "below regularise first: weight decay, dropout, more or better balanced data, a smaller model, a lower "
        "learning rate (A, section 3)."
    ),
    "batchnorm": (
        "C, part 9: BatchNorm takes its mean and variance from the batch. Of 2 samples they are noise, of 1 they do "
        "not exist. Keep 16 or more, better 32. It sees one forward pass, so the micro batch counts; gradient "
        "accumulation does not help. LayerNorm and GroupNorm do not look across the batch and work at any size."
    ),
    "class_mix": (
        "B, section 4: with long-tailed data and a weighted sampler each batch should hold a mix of classes; too tiny "
        "a batch has very few. In expectation a batch of B draws holds the sum over classes of 1 - (1 - p)^B of them."
    ),
    "memory": (
        "C, part 10: memory limited? Use the smallest batch that fits, and gradient accumulation to simulate a larger "
        "one: 4 micro batches of 32 update the weights like a batch of 128 with the memory of 32 (C, part 8). B, "
        "section 5, says the same. It costs time, since more passes do the same work."
    ),
}

_TRADE_OFFS = {
    "small": (
        "small (8-32): noisier gradients that can regularise and often generalise better, little memory, many updates; "
        "slower per epoch, poor use of a GPU (B2, C6)"
    ),
    "medium": (
        "medium (32-128): the usual default: stable enough gradients, good utilisation, good generalisation (B2, C6)"
    ),
    "large": (
        "large (256+): smooth gradients, few updates, efficient on big GPUs; more memory, may settle in sharper minima "
        "and generalise worse unless learning rate and regularisation are retuned (B2, C6, C8)"
    ),
}


def trade_off(batch_size: int) -> str:
    """What this size buys and costs (B, section 2; C, part 6). 32 to 255 count as medium, where the tables overlap."""
    if batch_size < 32:
        return _TRADE_OFFS["small"]
    return _TRADE_OFFS["medium"] if batch_size < 256 else _TRADE_OFFS["large"]
