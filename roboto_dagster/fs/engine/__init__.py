"""What both engines have in common besides the core: stores, and how they share a driver."""
