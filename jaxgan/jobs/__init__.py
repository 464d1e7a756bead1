"""The work behind some modes: selecting files, reading masks, restoring pictures and films, drawing overviews."""
