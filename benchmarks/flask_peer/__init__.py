"""A peer, run in a virtual environment of its own; nothing of ours imports it."""
