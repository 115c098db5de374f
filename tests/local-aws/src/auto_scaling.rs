//! Auto Scaling over HTTP: the AWS Query protocol, as its SDK clients speak it.
//!
//! Launch configurations and groups are seeded into the simulated account and listed here; element
//! and parameter names are those of botocore's model, API version 2011-01-01. As at EC2's door,
//! every parameter must be understood, signatures are not checked, and a caller may do what its
//! access key's role allows ([`crate::iam`]).

use std::io;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use holdfast_sim::request::{self, LaunchTemplateReference, PageRequest, Request};
use holdfast_sim::{
    ApiError, AutoScalingGroup, BlockDevice, CallFailure, DeviceTarget, Filter, GroupLaunch,
    InstanceRefresh, LaunchConfiguration, LaunchOverride, Response, SharedAccount,
};
use jiff::Timestamp;

use crate::iam::{self, Gate};
use crate::query::params::Params;
use crate::query::xml::Xml;
use crate::query::{Answer, lock};

const VERSION: &str = "2011-01-01";
const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";

/// The door to the Auto Scaling groups beside an account. The account's lock is taken for the
/// length of one call.
pub fn router(account: SharedAccount) -> Router {
    guarded(account, Gate::default())
}

/// As [`router`], with a gate that knows the callers' roles.
pub fn guarded(account: SharedAccount, gate: Gate) -> Router {
    let state = (account, gate);
    Router::new().route("/", post(handle)).with_state(state)
}

async fn handle(
    State((account, gate)): State<(SharedAccount, Gate)>,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let answer = answer(&account, &gate, iam::caller(&headers), &body);
    answer.into_http().await
}

fn answer(account: &SharedAccount, gate: &Gate, caller: &str, body: &[u8]) -> Answer {
    let mut account = lock(account);
    let request = match decode(body) {
        Ok(request) => request,
        Err((operation, error)) => {
            let error = account.refuse_unread(Request::AUTO_SCALING, &operation, error);
            return refusal(&error, account.request_id());
        }
    };
    let demands = iam::ec2::demands(&request, &account);
    if let Err(refused) = gate.admit(caller, &demands) {
        // The service's code, unlike EC2's (Auto Scaling API Reference, "Common errors").
        let error = ApiError {
            http_status: 403,
            ..ApiError::new("AccessDenied", refused.to_string())
        };
        let operation = request.operation();
        let error = account.refuse_unread(Request::AUTO_SCALING, operation, error);
        return refusal(&error, account.request_id());
    }
    let result = account.call(&request);
    let place = Place {
        operation: request.operation(),
        request_id: account.request_id(),
        region: &account.settings().region,
        account_id: &account.settings().account_id,
    };
    match result {
        Ok(response) => match encode(&place, &response) {
            Ok(text) => Answer::Xml(200, text),
            Err(_) => refusal(&ApiError::internal(), place.request_id),
        },
        Err(CallFailure::Refused(error)) => refusal(&error, place.request_id),
        Err(CallFailure::ResponseLost) => Answer::Lost,
        Err(CallFailure::Hang) => Answer::Hang,
    }
}

fn decode(body: &[u8]) -> Result<Request, (String, ApiError)> {
    let mut p = Params::read(body).map_err(|error| (String::new(), error))?;
    let Some(action) = p.text("Action") else {
        let error = ApiError::new("MissingAction", "The request is missing an action.");
        return Err((String::new(), error));
    };
    read(&action, &mut p).map_err(|error| (action, error))
}

fn read(action: &str, p: &mut Params) -> Result<Request, ApiError> {
    let version = p.required("Version")?;
    if version != VERSION {
        return Err(ApiError::new(
            "NoSuchVersion",
            format!("API version {version} is not spoken here"),
        ));
    }
    let request = match action {
        "DescribeLaunchConfigurations" => {
            Request::DescribeLaunchConfigurations(request::DescribeLaunchConfigurations {
                names: p.list("LaunchConfigurationNames.member"),
                page: page(p)?,
            })
        }
        "DescribeAutoScalingGroups" => {
            // No instances are modelled, so that leaving them out changes nothing.
            p.boolean("IncludeInstances")?;
            Request::DescribeAutoScalingGroups(request::DescribeAutoScalingGroups {
                names: p.list("AutoScalingGroupNames.member"),
                filters: p.structures("Filters.member", |f| {
                    Ok(Filter {
                        name: f.required("Name")?,
                        values: f.list("Values.member"),
                    })
                })?,
                page: page(p)?,
            })
        }
        "DescribeInstanceRefreshes" => {
            Request::DescribeInstanceRefreshes(request::DescribeInstanceRefreshes {
                group: p.required("AutoScalingGroupName")?,
                ids: p.list("InstanceRefreshIds.member"),
                page: page(p)?,
            })
        }
        other => {
            return Err(ApiError::new(
                "InvalidAction",
                format!("Could not find operation {other} for version {VERSION}"),
            ));
        }
    };
    p.finish()?;
    Ok(request)
}

fn page(p: &mut Params) -> Result<PageRequest, ApiError> {
    Ok(PageRequest {
        max_results: p.number("MaxRecords")?,
        next_token: p.text("NextToken"),
    })
}

fn refusal(error: &ApiError, request_id: &str) -> Answer {
    let write = || {
        let mut xml = Xml::new()?;
        xml.root("ErrorResponse", Some(NAMESPACE), |xml| {
            xml.element("Error", |xml| {
                let receiver = error.http_status >= 500;
                xml.leaf("Type", if receiver { "Receiver" } else { "Sender" })?;
                xml.leaf("Code", &error.code)?;
                xml.leaf("Message", &error.message)
            })?;
            xml.leaf("RequestId", request_id)
        })?;
        Ok::<_, io::Error>(xml.into_bytes())
    };
    // Writing to memory cannot fail; an empty body would still carry the status.
    Answer::Xml(error.http_status, write().unwrap_or_default())
}

/// What an answer says besides its content.
struct Place<'a> {
    operation: &'a str,
    request_id: &'a str,
    region: &'a str,
    account_id: &'a str,
}

impl Place<'_> {
    fn arn(&self, rest: &str) -> String {
        format!(
            "arn:aws:autoscaling:{}:{}:{rest}",
            self.region, self.account_id
        )
    }
}

fn encode(place: &Place<'_>, response: &Response) -> io::Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.root(
        &format!("{}Response", place.operation),
        Some(NAMESPACE),
        |xml| {
            xml.element(
                &format!("{}Result", place.operation),
                |xml| match response {
                    Response::LaunchConfigurations(page) => {
                        xml.members("LaunchConfigurations", &page.items, |xml, one| {
                            launch_configuration(xml, place, one)
                        })?;
                        xml.maybe("NextToken", page.next_token.as_ref())
                    }
                    Response::AutoScalingGroups(page) => {
                        xml.members("AutoScalingGroups", &page.items, |xml, one| {
                            group(xml, place, one)
                        })?;
                        xml.maybe("NextToken", page.next_token.as_ref())
                    }
                    Response::InstanceRefreshes(page) => {
                        xml.members("InstanceRefreshes", &page.items, refresh)?;
                        xml.maybe("NextToken", page.next_token.as_ref())
                    }
                    _ => Err(io::Error::other("an answer of another service")),
                },
            )?;
            xml.element("ResponseMetadata", |xml| {
                xml.leaf("RequestId", place.request_id)
            })
        },
    )?;
    Ok(xml.into_bytes())
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn launch_configuration(
    xml: &mut Xml,
    place: &Place<'_>,
    c: &LaunchConfiguration,
) -> io::Result<()> {
    xml.leaf("LaunchConfigurationName", &c.name)?;
    let rest = format!(
        "launchConfiguration:{}:launchConfigurationName/{}",
        c.unique, c.name
    );
    xml.leaf("LaunchConfigurationARN", place.arn(&rest))?;
    xml.leaf("ImageId", &c.image)?;
    xml.leaf("InstanceType", &c.instance_type)?;
    xml.members("BlockDeviceMappings", &c.mappings, block_device)?;
    xml.leaf("CreatedTime", time(c.created))
}

fn block_device(xml: &mut Xml, m: &BlockDevice) -> io::Result<()> {
    xml.leaf("DeviceName", &m.device)?;
    match &m.target {
        DeviceTarget::Ebs(ebs) => xml.element("Ebs", |xml| {
            xml.maybe("SnapshotId", ebs.snapshot.as_ref())?;
            xml.maybe("VolumeSize", ebs.size_gib.map(|n| n.to_string()))?;
            xml.maybe("VolumeType", ebs.volume_type.as_ref())?;
            xml.maybe(
                "DeleteOnTermination",
                ebs.delete_on_termination.map(|b| b.to_string()),
            )?;
            xml.maybe("Encrypted", ebs.encrypted.map(|b| b.to_string()))
        }),
        DeviceTarget::Virtual(name) => xml.leaf("VirtualName", name),
        DeviceTarget::NoDevice => xml.leaf("NoDevice", "true"),
    }
}

fn template(xml: &mut Xml, name: &str, t: &LaunchTemplateReference) -> io::Result<()> {
    xml.element(name, |xml| {
        xml.maybe("LaunchTemplateId", t.id.as_ref())?;
        xml.maybe("LaunchTemplateName", t.name.as_ref())?;
        xml.maybe("Version", t.version.as_ref())
    })
}

fn group_override(xml: &mut Xml, o: &LaunchOverride) -> io::Result<()> {
    xml.maybe("InstanceType", o.instance_type.as_ref())?;
    if let Some(t) = &o.template {
        template(xml, "LaunchTemplateSpecification", t)?;
    }
    xml.maybe("ImageId", o.image.as_ref())
}

fn launch(xml: &mut Xml, launch: &GroupLaunch) -> io::Result<()> {
    match launch {
        GroupLaunch::Configuration(name) => xml.leaf("LaunchConfigurationName", name),
        GroupLaunch::Template(t) => template(xml, "LaunchTemplate", t),
        GroupLaunch::Mixed(choice) => xml.element("MixedInstancesPolicy", |xml| {
            xml.element("LaunchTemplate", |xml| {
                template(xml, "LaunchTemplateSpecification", &choice.template)?;
                xml.members("Overrides", &choice.overrides, group_override)
            })
        }),
    }
}

fn refresh(xml: &mut Xml, r: &InstanceRefresh) -> io::Result<()> {
    xml.leaf("InstanceRefreshId", &r.id)?;
    xml.leaf("AutoScalingGroupName", &r.group)?;
    xml.leaf("Status", &r.status)?;
    xml.leaf("StartTime", time(r.started))?;
    match &r.desired {
        Some(desired) => xml.element("DesiredConfiguration", |xml| launch(xml, desired)),
        None => Ok(()),
    }
}

fn group(xml: &mut Xml, place: &Place<'_>, g: &AutoScalingGroup) -> io::Result<()> {
    xml.leaf("AutoScalingGroupName", &g.name)?;
    let rest = format!(
        "autoScalingGroup:{}:autoScalingGroupName/{}",
        g.unique, g.name
    );
    xml.leaf("AutoScalingGroupARN", place.arn(&rest))?;
    launch(xml, &g.launch)?;
    let desired = g.desired.to_string();
    for name in ["MinSize", "MaxSize", "DesiredCapacity"] {
        xml.leaf(name, &desired)?;
    }
    // The service's defaults.
    xml.leaf("DefaultCooldown", "300")?;
    xml.leaf("HealthCheckType", "EC2")?;
    let zone = format!("{}a", place.region);
    xml.members("AvailabilityZones", [zone], |xml, zone| xml.text(&zone))?;
    xml.leaf("CreatedTime", time(g.created))?;
    xml.members("Tags", &g.tags, |xml, (key, value)| {
        xml.leaf("ResourceId", &g.name)?;
        xml.leaf("ResourceType", "auto-scaling-group")?;
        xml.leaf("Key", key)?;
        xml.leaf("Value", value)?;
        xml.leaf("PropagateAtLaunch", "false")
    })
}
