"""What is raised when a target can't be had."""


class TargetError(ValueError):
    """A target that can't be found or called: the call of the judge was wrong, not the target."""
