"""The tasks, one in each file; a file here that defines `TASK` is found, and no list names it."""
