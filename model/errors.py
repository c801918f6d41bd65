"""What a person can mend: the programs tell it in one line."""


class ConfigError(ValueError):
    """A setting, a model or a role that cannot be, in words for the person who set it."""


class DatasetError(ValueError):
    """A data set cannot be had or used as it is. The message is for the person who named it."""


class EvaluationError(ValueError):
    """A model that is not the one whose training is on record, or not of this data."""
