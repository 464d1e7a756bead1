"""The one place that writes pictures and videos: one function for image files, one for animations."""
