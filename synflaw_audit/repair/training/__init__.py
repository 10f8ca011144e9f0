"""The training itself: trainer, guard, reference, processes."""
