"""Deploys infra/template.yaml for real and lets an event make a snapshot.

The stack stands on MiniStack (CloudFormation with the SAM transform, Lambda that runs the release
binaries, EventBridge, DynamoDB, SQS); EC2 is the project's own simulated account (`local-aws`), since
MiniStack's has no snapshots worth the name. What is deployed is the template as it stands, with two
things put in its place: the policy file, and PoliciesPath, because MiniStack runs a binary without
Docker and then unpacks no layers. So the layer is fetched back from Lambda and unpacked where the
path points: what the functions read has been through the deployment all the same.

MiniStack enforces the roles here on everything but EC2 (AUTH), so the functions' access to the table
is what the template gives them. A rule's RetryPolicy and DeadLetterConfig it keeps without acting on
them; that they are there is what tests/local-aws/tests/deployment holds. It knows no AWS::SSM::Document,
so ShipFreezeDocument is false.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

import boto3

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ACCOUNT, REGION, STACK = "111122223333", "eu-central-1", "holdfast-test"
POLICY = "when-stopped"
PATIENCE = 120  # seconds for anything that takes time; a loaded machine needs some of them


class Failed(Exception):
    """What was promised did not come about."""


def expect(condition, otherwise):
    if not condition:
        raise Failed(otherwise)


def wait_for(what, look):
    """The first answer of `look` that says something, or a failure that names `what`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = look()
        if answer:
            return answer
        time.sleep(0.2)
    raise Failed(f"no {what} within {PATIENCE} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Programs:
    """The programs that run beside this one; ended with it, their last words shown on failure."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def start(self, name, command, environment):
        log = self.folder / f"{name}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment, cwd=self.folder, start_new_session=True,
            )
        self.running.append((name, process, log))
        return process, log

    def run(self, name, command, environment):
        process, _ = self.start(name, command, environment)
        expect(process.wait() == 0, f"{name} failed with {process.returncode}")

    def stop(self):
        for _, process, _ in reversed(self.running):
            # With its children: MiniStack's functions are processes of their own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def last_words(self):
        for name, _, log in self.running:
            lines = log.read_text(errors="replace").splitlines()[-40:]
            print(f"-- the end of {name}'s log", *lines, sep="\n", file=sys.stderr)


def environment(folder, **more):
    """Nothing of this shell's AWS configuration: no call may leave for a real account."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    base = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return base | {
        "HOME": str(home),
        "TMPDIR": str(folder),
        "AWS_ACCESS_KEY_ID": ACCOUNT,  # MiniStack takes twelve digits for the account
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    } | more


def start_local_aws(programs, binaries):
    """EC2 with the demo's fleet, and Auto Scaling beside it; their variables with their URLs."""
    process, log = programs.start(
        "local-aws",
        [binaries / "local-aws", "--account", ACCOUNT, "--region", REGION,
         "--ec2-port", "0", "--dynamodb-port", "0", "--sts-port", "0", "--auto-scaling-port", "0"],
        environment(programs.folder),
    )

    names = ("AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_AUTO_SCALING")

    def endpoints():
        expect(process.poll() is None, "local-aws ended")
        lines = log.read_text(errors="replace").splitlines()
        exported = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
        found = {name: value.strip("'") for name, value in exported
                 if name in names and value.endswith("'")}
        return found if len(found) == len(names) else None

    return wait_for("EC2 and Auto Scaling", endpoints)


def start_ministack(programs, endpoints):
    """Everything but EC2 and Auto Scaling; its URL."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    process, _ = programs.start(
        "ministack",
        [sys.executable, HERE / "ministack_ec2.py"],
        # The functions inherit it, and so find those two elsewhere.
        environment(
            programs.folder, BIND_HOST="127.0.0.1", AUTH="true", GATEWAY_PORT=str(port),
            MINISTACK_ACCOUNT_ID=ACCOUNT, MINISTACK_REGION=REGION,
            AWS_ENDPOINT_URL=endpoint, **endpoints,
        ),
    )

    def healthy():
        expect(process.poll() is None, "MiniStack ended")
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2).status == 200

    wait_for("MiniStack", healthy)
    return endpoint


def deploy(programs, sam, endpoint, architecture):
    """`sam deploy` of the template beside the test's policy file; what stands for the functions' /opt."""
    folder = programs.folder
    infra = folder / "infra"
    shutil.copytree(ROOT / "infra", infra)
    shutil.copy(HERE / "policies.yaml", infra / "layer/holdfast/policies.yaml")
    (folder / "target").mkdir()
    (folder / "target/lambda").symlink_to(ROOT / "target/lambda")
    opt = folder / "opt"
    programs.run(
        "sam",
        [sam, "deploy", "--template-file", infra / "template.yaml",
         "--config-file", infra / "samconfig.toml", "--stack-name", STACK,
         "--no-confirm-changeset", "--parameter-overrides",
         f"Architecture={architecture}", f"PoliciesPath={opt}/holdfast/policies.yaml",
         "NotificationEmail=operator@example.org", "ShipFreezeDocument=false"],
        environment(folder, AWS_ENDPOINT_URL=endpoint),
    )
    return opt


class Stack:
    """The deployed stack."""

    def __init__(self, endpoint):
        self.session = boto3.Session(
            aws_access_key_id=ACCOUNT, aws_secret_access_key="test", region_name=REGION)
        self.endpoint = endpoint
        formation = self.client("cloudformation")
        stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        expect(stack["StackStatus"] == "CREATE_COMPLETE", f"the stack is {stack['StackStatus']}")
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        self.resources = [r for page in pages for r in page["StackResourceSummaries"]]

    def client(self, service):
        return self.session.client(service, endpoint_url=self.endpoint)

    def unpack_layer(self, opt):
        """Does for the policy layer what Lambda does: unpacks it into /opt."""
        layer = self.client("lambda").get_layer_version_by_arn(Arn=self.outputs["PolicyLayerArn"])
        with urllib.request.urlopen(layer["Content"]["Location"]) as answer:
            with zipfile.ZipFile(io.BytesIO(answer.read())) as archive:
                archive.extractall(opt)
        expect((opt / "holdfast/policies.yaml").is_file(), "the layer holds no holdfast/policies.yaml")

    def invoke(self, output, event):
        answer = self.client("lambda").invoke(
            FunctionName=self.outputs[output], Payload=json.dumps(event).encode())
        report = json.loads(answer["Payload"].read())
        expect("FunctionError" not in answer, f"{output} failed: {report}")
        return report

    def put(self, event):
        answer = self.client("events").put_events(Entries=[{
            "Source": event["source"], "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]), "Resources": event["resources"],
        }])
        expect(answer["FailedEntryCount"] == 0, f"the event was refused: {answer['Entries']}")

    def items(self):
        pages = self.client("dynamodb").get_paginator("scan").paginate(
            TableName=self.outputs["TableName"], ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def receive(self, output):
        queue = self.client("sqs")
        return queue.receive_message(QueueUrl=self.outputs[output]).get("Messages", [])


def stop_database(ec2):
    """Stops the fleet's database and waits until EC2 says so; the instance."""
    by_role = [{"Name": "tag:Role", "Values": ["database"]}]

    def database():
        found = ec2.describe_instances(Filters=by_role)["Reservations"]
        return found[0]["Instances"][0]

    instance = database()
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    wait_for("stopped instance", lambda: database()["State"]["Name"] == "stopped")
    return instance


def state_change(instance):
    """EC2's event, in the shape of the project's example of it."""
    text = (ROOT / "events/create-snapshots/valid/instance-stopped.json").read_text()
    example = json.loads(text)["detail"]["instance-id"]
    return json.loads(text.replace(example, instance["InstanceId"]))


def made_by_the_policy(ec2):
    pages = ec2.get_paginator("describe_snapshots").paginate(
        OwnerIds=["self"], Filters=[{"Name": "tag:holdfast:policy", "Values": [POLICY]}])
    return [snapshot for page in pages for snapshot in page["Snapshots"]]


def check_snapshots(snapshots, instance):
    """One set of all of the instance's EBS volumes, with the contract's tags; the slot."""
    volumes = sorted(m["Ebs"]["VolumeId"] for m in instance["BlockDeviceMappings"])
    expect(sorted(s["VolumeId"] for s in snapshots) == volumes, f"{snapshots} is not one of each of {volumes}")
    tags = [{t["Key"]: t["Value"] for t in s["Tags"]} for s in snapshots]
    for one in tags:
        for key, value in {
            "holdfast:managed": "true", "holdfast:artifact": "snapshot", "holdfast:policy": POLICY,
            "holdfast:source": instance["InstanceId"],
        }.items():
            expect(one.get(key) == value, f"{key} is not {value} in {one}")
    for key in ("holdfast:run", "holdfast:slot"):
        expect(len({one.get(key) for one in tags} - {None}) == 1, f"{key} differs within the set: {tags}")
    return tags[0]["holdfast:slot"]


def scenario(programs, arguments):
    endpoints = start_local_aws(programs, arguments.binaries.resolve())
    endpoint = start_ministack(programs, endpoints)
    began = time.monotonic()
    opt = deploy(programs, arguments.sam, endpoint, arguments.architecture)
    stack = Stack(endpoint)
    stack.unpack_layer(opt)
    print(f"deployed: {len(stack.resources)} resources in {time.monotonic() - began:.1f} s")

    ec2 = stack.session.client("ec2", endpoint_url=endpoints["AWS_ENDPOINT_URL_EC2"])
    instance = stop_database(ec2)
    expect(not made_by_the_policy(ec2), "there are snapshots before the event")
    event = state_change(instance)
    stack.put(event)
    count = len(instance["BlockDeviceMappings"])
    snapshots = wait_for("snapshots of all volumes", lambda: (
        found if len(found := made_by_the_policy(ec2)) >= count else None))
    slot = check_snapshots(snapshots, instance)
    names = {s["SnapshotId"] for s in snapshots}
    print(f"create-snapshots: {len(names)} snapshots of {instance['InstanceId']} from one event")

    # The call comes before its records.
    wait_for("records of the snapshots", lambda: all(
        any(name in json.dumps(item) for item in stack.items()) for name in names))
    print("the table holds their records")

    # At least once is what EventBridge promises: the same event again names what there is.
    again = stack.invoke("CreateSnapshotsArn", event | {"time": slot})
    expect({item["resource"] for item in again["items"]} == names, f"a second delivery named others: {again}")
    expect({s["SnapshotId"] for s in made_by_the_policy(ec2)} == names, "a second delivery made snapshots")
    print("the same event again made nothing")

    swept = stack.invoke("SweepRetentionArn", {"run": POLICY})
    expect(swept["run"]["mode"] == "plan", f"the sweep's mode is {swept['run']['mode']}")
    seen = {item["resource"] for item in swept["items"]}
    expect(names <= seen, f"the sweep saw {seen}, not all of {names}")
    expect("deleted" not in swept["summary"], f"the sweep deleted in plan: {swept['summary']}")
    print(f"sweep-retention: mode plan, {swept['summary']}")

    for queue in ("UndeliveredEventsUrl", "FailedInvocationsUrl"):
        expect(not stack.receive(queue), f"{queue} holds messages")
    nonsense = event | {"detail-type": "No Such Notification"}
    stack.client("lambda").invoke(
        FunctionName=stack.outputs["CreateSnapshotsArn"], InvocationType="Event",
        Payload=json.dumps(nonsense).encode())
    failed = wait_for("failed invocation", lambda: stack.receive("FailedInvocationsUrl"))
    record = json.loads(failed[0]["Body"])
    expect(record["requestPayload"] == nonsense, f"the queue holds {record}")
    print("an event that is not understood lies in the queue of failed invocations")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sam", required=True, help="the program sam")
    parser.add_argument("--binaries", required=True, type=pathlib.Path, help="folder of local-aws")
    parser.add_argument("--architecture", required=True, help="what target/lambda was built for")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-deploy-") as name:
        folder = pathlib.Path(name)
        programs = Programs(folder)
        try:
            scenario(programs, arguments)
        except Exception:
            programs.last_words()
            raise
        finally:
            programs.stop()


if __name__ == "__main__":
    try:
        main()
    except Failed as problem:
        sys.exit(f"deployment: {problem}")
