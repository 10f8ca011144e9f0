"""The package is tested where it is installed."""

collect_ignore = ["package"]
