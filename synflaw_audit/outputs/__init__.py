"""The folder of a run's outputs: apart from every input, one run at a time, one set of files."""
