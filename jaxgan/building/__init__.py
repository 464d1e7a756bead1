"""From the sections of a config to objects: sources, networks, tasks, optimizers, first weights."""
