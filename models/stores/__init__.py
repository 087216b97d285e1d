"""The read models' stores: one specification (port); adapters for SQL, and for plays (SQLite, HBase)."""
