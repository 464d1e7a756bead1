"""What a config would do on TPUs that are not there: compiled by their compiler, timed by their published peaks."""
