"""From scores to a verdict: the checks, their limits, the risk, the gate."""
