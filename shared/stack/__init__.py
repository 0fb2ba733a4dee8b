"""The station: the one place where messages, network and security meet."""
