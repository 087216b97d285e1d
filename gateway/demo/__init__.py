"""A small catalogue and simulated viewers, so that a fresh start shows something."""
