"""What this package refuses."""


class ProgramError(ValueError):
    """What a person says about a program's progress cannot be: the message says what came and what to do."""
