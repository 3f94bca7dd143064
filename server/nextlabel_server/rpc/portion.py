"""How many batches a compute thread is handed at once.

Handing over, and scoring what came out, take about 0.3 ms each time whatever the rows, as much as
the run of a small model. What a row gets depends on its batch alone, so how many go together may
depend on the clock.
"""

PORTION_SECONDS = 0.01  # so slow models go batch by batch: threads share them evenly
PORTION_BYTES = 1 << 20  # of outputs, which are held until all are there; or one batch's


def batches_together(batches: int, seconds: float, output_bytes: int) -> int:
    """How many to hand over after so many took that long and gave that many bytes; at least 1."""
    share = min(PORTION_SECONDS / seconds, PORTION_BYTES / output_bytes)
    return max(1, int(batches * share))
