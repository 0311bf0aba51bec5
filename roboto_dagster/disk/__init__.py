"""Files on this machine, written safely: folders, temporary files, and what a killed run leaves."""
