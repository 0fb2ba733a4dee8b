"""The `v2x` command: one file per subcommand."""
