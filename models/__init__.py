"""What the gateway and the consumers agree on: events, topics, settings, tables, ports and their adapters.

This package imports neither of them.
"""

__version__ = "0.1.0"
