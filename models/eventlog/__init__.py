"""The event log: one specification (port), two adapters (sqlite, kafka), and the spool before them."""
