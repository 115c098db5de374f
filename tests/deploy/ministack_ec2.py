"""MiniStack with somebody to play EC2's part on its event bus.

PutEvents refuses a source that begins with `aws.`, in AWS and in MiniStack alike, and MiniStack's EC2
puts no events of its own. So PutEvents is let through here as MiniStack lets its own services
through. Everything else is MiniStack as it is.
"""

import functools

from ministack import app
from ministack.services import eventbridge

# A name without a promise: another version than the pinned one fails here, not in silence.
eventbridge._put_events = functools.partial(eventbridge._put_events, allow_aws_source=True)

if __name__ == "__main__":
    app.main()
