"""How far projections are behind the log: one model, shown by `playtrail lag`, by /metrics and by pages."""
