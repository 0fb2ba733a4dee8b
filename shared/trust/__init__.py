"""Is it true: what stations claim, checks of it against physics, and opinions about who claimed it. Sans-IO."""
