"""Quality assurance: whether an instrument is in control, and whether a method holds what it promises."""
