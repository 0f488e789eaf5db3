"""Pages for people, made from the API itself."""
