"""The volumes of pods, as folders of this machine."""
