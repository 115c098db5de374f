//! EC2's XML for what stands in the account: the element names are those that `aws-sdk-ec2` reads.
//!
//! No value here holds a character that XML would want escaped.

use std::fmt::{Result, Write};

use jiff::Timestamp;

use crate::fleet::{
    ACCOUNT, ImageRow, REGION, SnapshotRow, Tag, VERSIONS, image_id, instance_id, template_id,
    user_tags, volume_id,
};

fn time(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
}

fn tags(out: &mut String, tags: &[Tag]) -> Result {
    out.push_str("<tagSet>");
    for (key, value) in tags {
        write!(out, "<item><key>{key}</key><value>{value}</value></item>")?;
    }
    out.push_str("</tagSet>");
    Ok(())
}

pub(crate) fn snapshot(out: &mut String, row: &SnapshotRow) -> Result {
    write!(
        out,
        "<item><snapshotId>{}</snapshotId><volumeId>{}</volumeId><status>completed</status>\
         <startTime>{}</startTime><completionTime>{}</completionTime><progress>100%</progress>\
         <ownerId>{ACCOUNT}</ownerId><volumeSize>{}</volumeSize><description>{}</description>\
         <encrypted>true</encrypted>\
         <kmsKeyId>arn:aws:kms:{REGION}:{ACCOUNT}:key/5f1c1c7e-8b1e-4c0f-9d55-0a4a2c9f7b11</kmsKeyId>\
         <storageTier>standard</storageTier>\
         <fullSnapshotSizeInBytes>21474836480</fullSnapshotSizeInBytes>",
        row.id,
        row.volume,
        time(row.start),
        time(row.start + jiff::SignedDuration::from_mins(4)),
        row.size_gib,
        row.description
    )?;
    tags(out, &row.tags)?;
    out.push_str("</item>");
    Ok(())
}

pub(crate) fn image(out: &mut String, row: &ImageRow) -> Result {
    write!(
        out,
        "<item><imageId>{}</imageId><imageLocation>{ACCOUNT}/{}</imageLocation>\
         <imageState>available</imageState><imageOwnerId>{ACCOUNT}</imageOwnerId>\
         <creationDate>{}</creationDate><isPublic>false</isPublic>\
         <architecture>x86_64</architecture><imageType>machine</imageType><name>{}</name>\
         <rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>\
         <blockDeviceMapping>",
        row.id,
        row.name,
        time(row.created),
        row.name
    )?;
    for (device, snapshot) in ["/dev/xvda", "/dev/sdf"].iter().zip(&row.snapshots) {
        write!(
            out,
            "<item><deviceName>{device}</deviceName><ebs><snapshotId>{snapshot}</snapshotId>\
             <volumeSize>40</volumeSize><volumeType>gp3</volumeType><iops>3000</iops>\
             <throughput>125</throughput><deleteOnTermination>true</deleteOnTermination>\
             <encrypted>true</encrypted></ebs></item>"
        )?;
    }
    write!(
        out,
        "</blockDeviceMapping><virtualizationType>hvm</virtualizationType>\
         <hypervisor>xen</hypervisor><enaSupport>true</enaSupport><sriovNetSupport>simple</sriovNetSupport>\
         <bootMode>uefi-preferred</bootMode><imdsSupport>v2.0</imdsSupport>\
         <sourceInstanceId>{}</sourceInstanceId><platformDetails>Linux/UNIX</platformDetails>\
         <usageOperation>RunInstances</usageOperation>\
         <deregistrationProtection>disabled</deregistrationProtection>",
        instance_id(row.machine)
    )?;
    tags(out, &row.tags)?;
    out.push_str("</item>");
    Ok(())
}

/// A machine in a reservation of its own. Its AMI is none of the account's.
pub(crate) fn instance(out: &mut String, machine: usize, launched: Timestamp) -> Result {
    let id = instance_id(machine);
    let launched = time(launched);
    write!(
        out,
        "<item><reservationId>r-{}</reservationId><ownerId>{ACCOUNT}</ownerId><instancesSet><item>\
         <instanceId>{id}</instanceId><imageId>ami-0a1b2c3d4e5f60718</imageId>\
         <instanceState><code>16</code><name>running</name></instanceState>\
         <instanceType>m7i.large</instanceType><launchTime>{launched}</launchTime>\
         <placement><availabilityZone>{REGION}a</availabilityZone></placement>\
         <architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType>\
         <rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>",
        &id[2..]
    )?;
    for (device, name) in ["/dev/xvda", "/dev/sdf"].iter().enumerate() {
        write!(
            out,
            "<item><deviceName>{name}</deviceName><ebs><volumeId>{}</volumeId>\
             <status>attached</status><attachTime>{launched}</attachTime>\
             <deleteOnTermination>false</deleteOnTermination></ebs></item>",
            volume_id(machine, device)
        )?;
    }
    out.push_str("</blockDeviceMapping>");
    tags(out, &user_tags(machine))?;
    out.push_str("</item></instancesSet></item>");
    Ok(())
}

pub(crate) fn volume(
    out: &mut String,
    machine: usize,
    device: usize,
    created: Timestamp,
) -> Result {
    let (id, created) = (volume_id(machine, device), time(created));
    write!(
        out,
        "<item><volumeId>{id}</volumeId><size>{}</size><snapshotId/>\
         <availabilityZone>{REGION}a</availabilityZone><status>in-use</status>\
         <createTime>{created}</createTime><attachmentSet><item><volumeId>{id}</volumeId>\
         <instanceId>{}</instanceId><device>/dev/sd{}</device><status>attached</status>\
         <attachTime>{created}</attachTime><deleteOnTermination>false</deleteOnTermination>\
         </item></attachmentSet><volumeType>gp3</volumeType><encrypted>true</encrypted>\
         <multiAttachEnabled>false</multiAttachEnabled>",
        40 + 60 * device,
        instance_id(machine),
        ["a", "f"][device % 2]
    )?;
    tags(out, &user_tags(machine))?;
    out.push_str("</item>");
    Ok(())
}

pub(crate) fn template(out: &mut String, template: usize, created: Timestamp) -> Result {
    write!(
        out,
        "<item><launchTemplateId>{}</launchTemplateId>\
         <launchTemplateName>template-{template:03}</launchTemplateName>\
         <createTime>{}</createTime><createdBy>arn:aws:iam::{ACCOUNT}:root</createdBy>\
         <defaultVersionNumber>1</defaultVersionNumber>\
         <latestVersionNumber>{VERSIONS}</latestVersionNumber></item>",
        template_id(template),
        time(created)
    )
}

/// A version of a template. The newest names its machine's newest image, the older ones AMIs that
/// are none of the account's.
pub(crate) fn version(out: &mut String, template: usize, version: usize, at: Timestamp) -> Result {
    let image = match version {
        VERSIONS => image_id(template, 0),
        _ => format!("ami-0f0e0d0c0b0a{version:05}"),
    };
    write!(
        out,
        "<item><launchTemplateId>{}</launchTemplateId>\
         <launchTemplateName>template-{template:03}</launchTemplateName>\
         <versionNumber>{version}</versionNumber><createTime>{}</createTime>\
         <createdBy>arn:aws:iam::{ACCOUNT}:root</createdBy>\
         <defaultVersion>{}</defaultVersion><launchTemplateData><imageId>{image}</imageId>\
         <instanceType>m7i.large</instanceType></launchTemplateData></item>",
        template_id(template),
        time(at),
        version == 1
    )
}
