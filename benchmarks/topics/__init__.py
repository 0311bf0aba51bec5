"""Topics as tables beside the libraries' own loops."""
