"""What a long-running program needs: configuration, run loop, notification, storage, logs, metrics."""
