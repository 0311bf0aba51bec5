"""What happens to one file, decided without socket or thread; `curl` and `boto` carry it out."""
