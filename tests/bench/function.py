"""A Lambda function in Python that imports boto3, with the least of a runtime.

AWS's own runtime for Python (awslambdaric) does more before it asks for work, and a function that is of
use makes clients too: this flatters Python.
"""

import http.client
import json
import os

import boto3  # noqa: F401


def handler(event):
    return event


api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    answer = json.dumps(handler(json.load(response)))
    request = response.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", answer)
    api.getresponse().read()
