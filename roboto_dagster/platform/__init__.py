"""Everything that is asked of the Roboto API, through the official SDK."""
