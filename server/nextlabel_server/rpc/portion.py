"""How many batches a compute thread is handed at once.

Handing over takes about 0.1 ms each time, however few the rows are: a good part of what the run of
a small model takes. What a row gets depends on its batch alone, so how many go together may depend
on the clock.
"""

PORTION_SECONDS = 0.01  # so slow models go batch by batch: threads share them evenly
PORTION_BYTES = 1 << 20  # of outputs, which are held until all are there; or of one batch


def batches_together(batches: int, seconds: float, output_bytes: int) -> int:
    """How many to hand over after so many took that long and gave that many bytes; at least 1."""
    share = min(PORTION_SECONDS / seconds, PORTION_BYTES / output_bytes)
    return max(1, int(batches * share))
