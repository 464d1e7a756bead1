"""The work behind some modes, in parts: which files, masks, pictures, films and sheets."""
