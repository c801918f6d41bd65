"""What is asked of a server again without a word: little, since who calls knows better, and tells a person."""

import urllib3

_LONGEST_PAUSE_SECONDS = 10.0


class ShortWaits(urllib3.Retry):
    """Heeds what a server says of when to ask again, but not for long: in maintenance it may say an hour.

    Who waits for a run would hear nothing all that time, and not learn when the server is back.
    """

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        """Returns how many seconds to wait, or None where the server does not say."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _LONGEST_PAUSE_SECONDS)


# Who calls decides about another try: to start a run twice would be worse than to fail.
RETRIES = ShortWaits(total=5, connect=0, read=0, other=0)
