"""The verdict on an object before anything is created: by itself, and beside what it refers to."""
