"""
The consumers under faults, thousands of times: real runners and projections on a log and stores in memory.

Time is simulated and everything is decided by one seed, so that a failing seed fails again:
``python -m tests.simulator --seed N`` shows it step by step.
"""
