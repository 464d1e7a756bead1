"""Operating system services: paths, disks, signals, JSON files, and printable text."""
