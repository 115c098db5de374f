"""A plain sweep on boto3: lists, keeps the newest N backups of each source, deletes the rest.

What a careful person would write in an afternoon: paginators, no more lists than the decision needs,
what an AMI maps is left alone, an AMI goes before its snapshots. `make bench` measures it beside the
release binary of sweep-retention; it decides less, so the comparison is in its favour.
"""

import argparse
import json

import boto3

PAGE = {"PageSize": 1000}
OURS = [{"Name": "tag:holdfast:managed", "Values": ["true"]}]


def tags(resource):
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def expired(backups, last):
    """What is not among the newest `last` of its source; backups are (source, time, id)."""
    sources = {}
    for source, time, name in backups:
        sources.setdefault(source, []).append((time, name))
    return [
        name
        for of_source in sources.values()
        for _, name in sorted(of_source, reverse=True)[last:]
    ]


def peak_kib():
    """The highest resident set of this process since it was started."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--snapshots-last", type=int, required=True)
    arguments.add_argument("--images-last", type=int, required=True)
    arguments.add_argument("--delete", action="store_true")
    arguments = arguments.parse_args()
    ec2 = boto3.client("ec2")

    images, mapped = [], {}
    pages = ec2.get_paginator("describe_images")
    for page in pages.paginate(Owners=["self"], IncludeDisabled=True, PaginationConfig=PAGE):
        for image in page["Images"]:
            devices = image.get("BlockDeviceMappings", [])
            mapped[image["ImageId"]] = [
                device["Ebs"]["SnapshotId"] for device in devices if "Ebs" in device
            ]
            of_image = tags(image)
            if of_image.get("holdfast:managed") == "true":
                source = of_image["holdfast:source"]
                images.append((source, image["CreationDate"], image["ImageId"]))
    in_use = {snapshot for of_image in mapped.values() for snapshot in of_image}

    snapshots = []
    pages = ec2.get_paginator("describe_snapshots")
    for page in pages.paginate(OwnerIds=["self"], Filters=OURS, PaginationConfig=PAGE):
        for snapshot in page["Snapshots"]:
            good = snapshot["State"] == "completed" and snapshot["SnapshotId"] not in in_use
            if good and tags(snapshot)["holdfast:artifact"] == "snapshot":
                backup = (snapshot["VolumeId"], snapshot["StartTime"], snapshot["SnapshotId"])
                snapshots.append(backup)

    images = expired(images, arguments.images_last)
    snapshots = expired(snapshots, arguments.snapshots_last)
    if arguments.delete:
        for image in images:
            ec2.deregister_image(ImageId=image)
            for snapshot in mapped[image]:
                ec2.delete_snapshot(SnapshotId=snapshot)
        for snapshot in snapshots:
            ec2.delete_snapshot(SnapshotId=snapshot)
    result = {"images": len(images), "snapshots": len(snapshots), "peak_kib": peak_kib()}
    print(json.dumps(result), flush=True)


main()
