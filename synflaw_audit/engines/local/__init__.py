"""The two passes on this machine: threads, memory, a journal to resume from."""
