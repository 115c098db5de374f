"""A Lambda function in Python that has the clients Holdfast has, with the least of a runtime.

AWS's own runtime for Python (awslambdaric) does more before it asks for work, so this flatters
Python.
"""

import http.client
import json
import os

import boto3

ec2 = boto3.client("ec2")
table = boto3.client("dynamodb")


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
