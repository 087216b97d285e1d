"""
Replay: a topic read again, for people and their tools.

    ranges.py      from when to when: what --from and --to say, pinned to offsets
    fields.py      which fields a topic's events have
    expression.py  --where, read and checked
    filters.py     which events are wanted
    pseudonyms.py  a keyed hash in the place of what names a person
    reading.py     records read, decoded, counted
    formats.py     text, JSON lines, CSV; arrow.py Parquet
    sinks.py       to a stream, or the last N of it; files.py to a folder, and manifest.py what is in it
    request.py     what is asked for, run.py the replay of it, export.py into a folder, to be gone on with

It reads by itself, without a consumer group, and so disturbs nobody. Order is kept within a partition.
"""
