"""The gateway: HTTP in, events out, read models read. It knows ``models`` only."""
