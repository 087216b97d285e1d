"""The subcommands of ``playtrail``, one file for each family."""
