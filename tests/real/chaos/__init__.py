"""Real faults on the real servers under load, and a report of what became of every acknowledged event."""
