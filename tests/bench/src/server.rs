//! The account over HTTP: the EC2 Query protocol, answered from memory.
//!
//! It knows what a sweep asks and refuses everything else, so that a call nobody thought of cannot
//! pass for a cheap one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast_local_aws::door::Door;

use crate::BenchError;
use crate::buckets::Buckets;
use crate::pages::{List, PAGE, Pages, answer};
use crate::traffic::{Traffic, deletes};

/// Under which conditions the account answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long each call takes.
    pub latency: Duration,
    /// Whether deletions draw from EC2's documented token buckets.
    pub buckets: bool,
}

/// The account. Clones are the same.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    door: Arc<Door>,
}

struct Shared {
    pages: Pages,
    state: Mutex<Stage>,
}

#[derive(Default)]
struct Stage {
    terms: Terms,
    buckets: Buckets,
    gone: HashSet<String>,
    traffic: Traffic,
}

impl Server {
    /// Serves the account on a free port of the loopback interface.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn open(pages: Pages) -> Result<Self, BenchError> {
        let shared = Arc::new(Shared {
            pages,
            state: Mutex::default(),
        });
        let router = Router::new()
            .route("/", post(handle))
            .with_state(Arc::clone(&shared));
        let door = Door::open(router, 0)
            .await
            .map_err(BenchError::io("listening"))?;
        Ok(Self {
            shared,
            door: Arc::new(door),
        })
    }

    /// The URL to give to an AWS SDK, for EC2 and for Auto Scaling.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.door.endpoint()
    }

    /// What stands in the account.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.shared.pages
    }

    /// Puts the account back to its beginning, under these terms.
    pub fn begin(&self, terms: Terms) {
        *self.shared.stage() = Stage {
            terms,
            ..Stage::default()
        };
    }

    /// What reached it since.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.stage().traffic.clone()
    }
}

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal: status, code.
type Refusal = (StatusCode, &'static str);

const BAD: StatusCode = StatusCode::BAD_REQUEST;

async fn handle(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let call = Call::read(&body);
    let kind = call.kind();
    let latency = {
        let mut stage = shared.stage();
        stage.traffic.begin(&kind, Instant::now());
        stage.terms.latency
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let answer = shared.answer(&call);
    shared.stage().traffic.end(&kind, Instant::now());
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err((status, code)) => (
            status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{kind}</Message></Error>\
                 </Errors><RequestID>6f2d4c1e-bench</RequestID></Response>"
            )
            .into(),
        ),
    };
    let kind = [(header::CONTENT_TYPE, "text/xml;charset=UTF-8")];
    (status, kind, body).into_response()
}

/// A request, read.
struct Call {
    action: String,
    parameters: HashMap<String, String>,
    filters: HashMap<String, Vec<String>>,
}

impl Call {
    fn read(body: &[u8]) -> Self {
        let parameters: HashMap<String, String> =
            form_urlencoded::parse(body).into_owned().collect();
        let mut filters: HashMap<String, Vec<String>> = HashMap::new();
        for (key, value) in &parameters {
            let parts: Vec<&str> = key.split('.').collect();
            if let ["Filter", number, "Value", _] = parts[..]
                && let Some(name) = parameters.get(&format!("Filter.{number}.Name"))
            {
                filters.entry(name.clone()).or_default().push(value.clone());
            }
        }
        Self {
            action: parameters.get("Action").cloned().unwrap_or_default(),
            parameters,
            filters,
        }
    }

    fn text(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn filter(&self, name: &str) -> Option<&[String]> {
        self.filters.get(name).map(Vec::as_slice)
    }

    /// How it is counted.
    fn kind(&self) -> String {
        let by_id = [
            "snapshot-id",
            "image-id",
            "block-device-mapping.snapshot-id",
        ];
        match by_id.iter().any(|name| self.filters.contains_key(*name)) {
            true => format!("{} by id", self.action),
            false => self.action.clone(),
        }
    }

    /// A page of a whole list.
    fn page(&self, list: &List) -> Result<Bytes, Refusal> {
        // The pages were rendered for the largest size, which both programs ask for.
        if self.text("MaxResults").parse() != Ok(PAGE) {
            return Err((BAD, "InvalidParameterValue"));
        }
        let number: usize = match self.text("NextToken") {
            "" => 0,
            token => token.parse().map_err(|_| (BAD, "InvalidNextToken"))?,
        };
        let page = list.pages.get(number).cloned();
        page.ok_or((BAD, "InvalidNextToken"))
    }

    /// Nothing, in an answer that names the set in which something would stand.
    fn none(&self, set: &str) -> Bytes {
        answer(&self.action, set, "", None).into()
    }
}

impl Shared {
    fn answer(&self, call: &Call) -> Result<Bytes, Refusal> {
        if deletes(&call.action) {
            return self.delete(call);
        }
        let pages = &self.pages;
        let unfiltered = call.filters.is_empty();
        match call.action.as_str() {
            "DescribeSnapshots" => {
                if let Some(ids) = call.filter("snapshot-id") {
                    return Ok(self.pick(call, "snapshotSet", &pages.snapshots, ids));
                }
                let managed = call.filter("tag:holdfast:managed");
                match call.filter("status") {
                    Some([state]) if state == "pending" => Ok(call.none("snapshotSet")),
                    None if unfiltered || managed.is_some() => call.page(&pages.snapshots),
                    _ => Err((BAD, "InvalidParameterValue")),
                }
            }
            "DescribeImages" => {
                if let Some(ids) = call.filter("image-id") {
                    return Ok(self.pick(call, "imagesSet", &pages.images, ids));
                }
                if let Some(ids) = call.filter("block-device-mapping.snapshot-id") {
                    let mapping = ids.iter().filter_map(|id| pages.mapped_by.get(id));
                    let mapping: HashSet<&String> = mapping.collect();
                    let images: Vec<String> = mapping.into_iter().cloned().collect();
                    return Ok(self.pick(call, "imagesSet", &pages.images, &images));
                }
                match unfiltered {
                    true => call.page(&pages.images),
                    false => Err((BAD, "InvalidParameterValue")),
                }
            }
            // No machine was launched from an image of the account's.
            "DescribeInstances" if call.filter("image-id").is_some() => {
                Ok(call.none("reservationSet"))
            }
            "DescribeInstances" if unfiltered => call.page(&pages.instances),
            "DescribeVolumes" if unfiltered => call.page(&pages.volumes),
            "DescribeLaunchTemplates" if unfiltered => {
                let page = pages.templates.pages.first().cloned();
                page.ok_or((BAD, "InvalidParameterValue"))
            }
            "DescribeLaunchTemplateVersions" => pages
                .versions
                .get(call.text("LaunchTemplateId"))
                .cloned()
                .ok_or((BAD, "InvalidLaunchTemplateId.NotFound")),
            "DescribeFleets" => Ok(call.none("fleetSet")),
            "DescribeSpotFleetRequests" => Ok(call.none("spotFleetRequestConfigSet")),
            "DescribeSpotInstanceRequests" => Ok(call.none("spotInstanceRequestSet")),
            "DescribeFastSnapshotRestores" => Ok(call.none("fastSnapshotRestoreSet")),
            "ListSnapshotsInRecycleBin" | "DescribeLockedSnapshots" => Ok(call.none("snapshotSet")),
            "ListImagesInRecycleBin" => Ok(call.none("imageSet")),
            "DescribeImageReferences" => Ok(call.none("imageReferenceSet")),
            "DescribeImageAttribute" => Ok(call.none("launchPermission")),
            "DescribeSnapshotAttribute" => Ok(call.none("createVolumePermission")),
            "DescribeLaunchConfigurations" => Ok(call.auto_scaling("LaunchConfigurations")),
            "DescribeAutoScalingGroups" => Ok(call.auto_scaling("AutoScalingGroups")),
            "DescribeInstanceRefreshes" => Ok(call.auto_scaling("InstanceRefreshes")),
            _ => Err((BAD, "InvalidAction")),
        }
    }

    /// What still stands of the entries asked for.
    fn pick(&self, call: &Call, set: &str, list: &List, ids: &[String]) -> Bytes {
        let stage = self.stage();
        let standing = ids.iter().filter(|id| !stage.gone.contains(*id));
        answer(&call.action, set, &list.pick(standing), None).into()
    }

    fn delete(&self, call: &Call) -> Result<Bytes, Refusal> {
        let mut stage = self.stage();
        if stage.terms.buckets && !stage.buckets.take(&call.action, Instant::now()) {
            stage.traffic.throttled += 1;
            return Err((StatusCode::SERVICE_UNAVAILABLE, "RequestLimitExceeded"));
        }
        let pages = &self.pages;
        let mut results = String::new();
        if call.action == "DeregisterImage" {
            let id = call.text("ImageId");
            if !pages.images.has(id) || !stage.gone.insert(id.to_owned()) {
                return Err((BAD, "InvalidAMIID.NotFound"));
            }
            stage.traffic.deleted.1 += 1;
            if call.text("DeleteAssociatedSnapshots") == "true" {
                for snapshot in pages.backing.get(id).into_iter().flatten() {
                    stage.gone.insert(snapshot.clone());
                    stage.traffic.deleted.0 += 1;
                    results.push_str(&format!(
                        "<item><snapshotId>{snapshot}</snapshotId>\
                         <returnCode>success</returnCode></item>"
                    ));
                }
            }
        } else {
            let id = call.text("SnapshotId");
            let mapped_by = pages.mapped_by.get(id);
            if mapped_by.is_some_and(|image| !stage.gone.contains(image)) {
                return Err((BAD, "InvalidSnapshot.InUse"));
            }
            if !pages.snapshots.has(id) || !stage.gone.insert(id.to_owned()) {
                return Err((BAD, "InvalidSnapshot.NotFound"));
            }
            stage.traffic.deleted.0 += 1;
        }
        let done = answer(&call.action, "deleteSnapshotResultSet", &results, None);
        Ok(done
            .replace("</requestId>", "</requestId><return>true</return>")
            .into())
    }
}

impl Call {
    /// An empty list of Auto Scaling's.
    fn auto_scaling(&self, set: &str) -> Bytes {
        let action = &self.action;
        format!(
            "<{action}Response xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
             <{action}Result><{set}/></{action}Result><ResponseMetadata>\
             <RequestId>6f2d4c1e-bench</RequestId></ResponseMetadata></{action}Response>"
        )
        .into()
    }
}
