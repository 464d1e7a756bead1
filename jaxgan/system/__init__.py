"""What the suite asks of the operating system: paths, disks, signals, whole files, and text that can be printed."""
