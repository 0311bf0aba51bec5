"""Those that are written in Python: each a module that runs in a process of its own.

They time the transfer alone, from making the store to the last file, without their imports, and
import nothing of this package but `job` and `shapes`, so that their memory is their own.
"""
