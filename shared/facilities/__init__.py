"""What stations do with messages, both kinds alike: events reported and heard of, neighbours. Sans-IO."""
