//! The account: its clock, its contents, and the way a call takes through it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::call_log::{self, CallOutcome, CallRecord, CallTally};
use crate::chaos::Unrest;
use crate::echo::Past;
use crate::error::{ApiError, CallFailure};
use crate::fault::{Fault, FaultRule, Faults};
use crate::ids::IdSource;
use crate::limits::Buckets;
use crate::model::auto_scaling::{AutoScalingGroup, InstanceRefresh, LaunchConfiguration};
use crate::model::fast_restore::FastRestore;
use crate::model::fleet::{Fleet, SpotFleet, SpotRequest};
use crate::model::guest::{Command, Guest};
use crate::model::image::Image;
use crate::model::image_reference::{Parameter, Recipe};
use crate::model::instance::Instance;
use crate::model::instance_type::{self, InstanceTypeInfo};
use crate::model::launch_template::LaunchTemplate;
use crate::model::recycle_bin::Binned;
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::page;
use crate::request::Request;
use crate::response::Response;
use crate::settings::Settings;
use crate::transition::Schedule;

/// An account that several doors share. The lock is never held over an `await`.
pub type SharedAccount = Arc<Mutex<Account>>;

/// A multi-volume set whose members are not all settled.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotSet {
    pub(crate) members: Vec<SnapshotId>,
    pub(crate) started: Timestamp,
}

/// What a client token was used for.
#[derive(Clone, Debug)]
pub(crate) struct TokenUse {
    pub(crate) fingerprint: u64,
    pub(crate) made: Vec<String>,
}

/// A simulated EC2 account in one Region.
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) settings: Settings,
    pub(crate) now: Timestamp,
    pub(crate) ids: IdSource,
    pub(crate) request_id: String,
    /// The function that calls; none: somebody else.
    pub(crate) caller: Option<String>,
    pub(crate) schedule: Schedule,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    pub(crate) volumes: BTreeMap<VolumeId, Volume>,
    pub(crate) snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// How many of `snapshots` are the account's own.
    pub(crate) own_snapshots: usize,
    pub(crate) images: BTreeMap<ImageId, Image>,
    /// Images that were deregistered, listed or not.
    pub(crate) deregistered: BTreeSet<ImageId>,
    /// Images that hold a snapshot, whatever their state, until they are deregistered.
    pub(crate) images_by_snapshot: BTreeMap<SnapshotId, BTreeSet<ImageId>>,
    pub(crate) binned_snapshots: BTreeMap<SnapshotId, Binned<Snapshot>>,
    pub(crate) binned_images: BTreeMap<ImageId, Binned<Image>>,
    /// Fast restores by snapshot and zone.
    pub(crate) fast_restores: BTreeMap<(SnapshotId, String), FastRestore>,
    pub(crate) fleets: BTreeMap<String, Fleet>,
    pub(crate) spot_fleets: BTreeMap<String, SpotFleet>,
    pub(crate) spot_requests: BTreeMap<String, SpotRequest>,
    pub(crate) launch_configurations: BTreeMap<String, LaunchConfiguration>,
    pub(crate) auto_scaling_groups: BTreeMap<String, AutoScalingGroup>,
    pub(crate) instance_refreshes: BTreeMap<String, InstanceRefresh>,
    pub(crate) launch_templates: BTreeMap<LaunchTemplateId, LaunchTemplate>,
    /// What runs in instances that Systems Manager manages.
    pub(crate) guests: BTreeMap<InstanceId, Guest>,
    /// Names of documents with pre- and post-scripts.
    pub(crate) documents: BTreeSet<String>,
    /// Commands sent, oldest first.
    pub(crate) commands: Vec<Command>,
    /// Parameters of Systems Manager that hold identifiers of images, by name.
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) recipes: Vec<Recipe>,
    /// States of KMS keys, as KMS spells them, by ARN.
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) instance_types: BTreeMap<String, InstanceTypeInfo>,
    pub(crate) sets: BTreeMap<u64, SnapshotSet>,
    pub(crate) sets_made: u64,
    pub(crate) tokens: BTreeMap<(&'static str, String), TokenUse>,
    pub(crate) failing_snapshots: Vec<(Option<VolumeId>, String)>,
    pub(crate) failing_images: Vec<String>,
    pub(crate) faults: Faults,
    pub(crate) empty_page: bool,
    /// How far back the call that is being answered sees lists.
    pub(crate) call_lag: SignedDuration,
    pub(crate) past: Past,
    pub(crate) unrest: Unrest,
    buckets: Buckets,
    pub(crate) outbox: Vec<Value>,
    log: Vec<CallRecord>,
}

impl Account {
    /// An empty account.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            now: settings.start,
            ids: IdSource::new(settings.seed),
            settings,
            request_id: String::new(),
            caller: None,
            schedule: Schedule::default(),
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            own_snapshots: 0,
            images: BTreeMap::new(),
            deregistered: BTreeSet::new(),
            images_by_snapshot: BTreeMap::new(),
            binned_snapshots: BTreeMap::new(),
            binned_images: BTreeMap::new(),
            fast_restores: BTreeMap::new(),
            fleets: BTreeMap::new(),
            spot_fleets: BTreeMap::new(),
            spot_requests: BTreeMap::new(),
            launch_configurations: BTreeMap::new(),
            auto_scaling_groups: BTreeMap::new(),
            instance_refreshes: BTreeMap::new(),
            launch_templates: BTreeMap::new(),
            guests: BTreeMap::new(),
            documents: BTreeSet::new(),
            commands: Vec::new(),
            parameters: BTreeMap::new(),
            recipes: Vec::new(),
            keys: BTreeMap::new(),
            instance_types: instance_type::known(),
            sets: BTreeMap::new(),
            sets_made: 0,
            tokens: BTreeMap::new(),
            failing_snapshots: Vec::new(),
            failing_images: Vec::new(),
            faults: Faults::default(),
            empty_page: false,
            call_lag: SignedDuration::ZERO,
            past: Past::default(),
            unrest: Unrest::default(),
            buckets: Buckets::default(),
            outbox: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The account for several doors.
    #[must_use]
    pub fn shared(self) -> SharedAccount {
        Arc::new(Mutex::new(self))
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings, to change them; durations apply to what begins afterwards, `start` no more.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Moves the clock, and lets happen in order what is due by then. The clock never goes back:
    /// an earlier time changes nothing.
    pub fn advance_to(&mut self, time: Timestamp) {
        while let Some((at, transition)) = self.schedule.pop_due(time) {
            self.now = self.now.max(at);
            self.apply(transition);
        }
        self.now = self.now.max(time);
    }

    /// Moves the clock on by a duration.
    pub fn advance_by(&mut self, duration: SignedDuration) {
        // A time beyond the calendar's end is the calendar's end.
        let time = self.now.checked_add(duration).unwrap_or(Timestamp::MAX);
        self.advance_to(time);
    }

    /// When something will next change by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        self.schedule.next_at()
    }

    /// The time `duration` from now.
    pub(crate) fn after(&self, duration: SignedDuration) -> Timestamp {
        self.now.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// Makes a call.
    ///
    /// # Errors
    /// EC2's refusal, or an injected loss of the answer.
    pub fn call(&mut self, request: &Request) -> Result<Response, CallFailure> {
        self.perform(request, false)
    }

    /// Makes a call, with or without `DryRun`. A dry run that would be allowed fails with
    /// `DryRunOperation` `[E]`; whether it draws from the token bucket is not documented, here it
    /// does.
    ///
    /// # Errors
    /// EC2's refusal, or an injected loss of the answer.
    pub fn perform(&mut self, request: &Request, dry_run: bool) -> Result<Response, CallFailure> {
        let now = self.now;
        self.advance_to(now);
        self.request_id = self.ids.uuid();
        let resources = request.resources();
        let fault = self.faults.take(
            request.operation(),
            &resources,
            request.page().map(page::number),
        );
        // What a test asked for goes before what chaos draws.
        let struck = match fault {
            None => self.strike(request),
            Some(_) => None,
        };
        let (chaos, fault) = match struck {
            Some((kind, effect)) => (Some(kind), effect),
            None => (None, fault),
        };
        let result = self.answer(request, dry_run, fault);
        self.call_lag = SignedDuration::ZERO;
        if let Err(CallFailure::Refused(error)) = &result {
            self.emit_refused_call(request, error);
        }
        let outcome = match &result {
            Ok(_) => CallOutcome::Answered,
            Err(CallFailure::Refused(error)) => CallOutcome::Refused(error.code.clone()),
            Err(CallFailure::ResponseLost) => CallOutcome::ResponseLost,
            Err(CallFailure::Hang) => CallOutcome::Hung,
        };
        self.log.push(CallRecord {
            service: request.service(),
            operation: request.operation().to_owned(),
            resources,
            time: self.now,
            request_id: self.request_id.clone(),
            outcome,
            chaos,
        });
        result
    }

    fn answer(
        &mut self,
        request: &Request,
        dry_run: bool,
        fault: Option<Fault>,
    ) -> Result<Response, CallFailure> {
        // The buckets are those of EC2; Auto Scaling and Systems Manager publish none.
        if self.settings.throttling && request.service() == Request::EC2 {
            self.buckets.take(request, self.now)?;
        }
        let mut next = None;
        let lost = match fault {
            Some(Fault::Error(error) | Fault::FailPage(_, error)) => return Err(error.into()),
            Some(Fault::AppliedButResponseLost) => Some(CallFailure::ResponseLost),
            Some(Fault::AppliedThenHang) => Some(CallFailure::Hang),
            Some(Fault::EmptyPage) => {
                self.empty_page = true;
                None
            }
            Some(Fault::FollowedBy(request)) => {
                next = Some(request);
                None
            }
            None => None,
        };
        let result = if dry_run {
            Err(ApiError::dry_run())
        } else {
            self.execute(request)
        };
        // A refusal before the page was opened must not leave the next list empty.
        self.empty_page = false;
        if let Some(next) = next {
            self.execute(&next)?;
        }
        match lost {
            // Lost is lost, whether the answer would have been good or bad.
            Some(failure) => Err(failure),
            None => Ok(result?),
        }
    }

    /// Says whose calls come next, for what CloudTrail says of them: a function's, whose role and
    /// session bear its name, or a stranger's (`ops/jo`).
    pub fn called_by(&mut self, function: Option<String>) {
        self.caller = function;
    }

    /// Records a request that could not even be read (an unknown operation or parameter), and
    /// gives its error back.
    pub fn refuse_unread(
        &mut self,
        service: &'static str,
        operation: &str,
        error: ApiError,
    ) -> ApiError {
        self.request_id = self.ids.uuid();
        self.log.push(CallRecord {
            service,
            operation: operation.to_owned(),
            resources: Vec::new(),
            time: self.now,
            request_id: self.request_id.clone(),
            outcome: CallOutcome::Refused(error.code.clone()),
            chaos: None,
        });
        error
    }

    /// Identifier of the last request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Every call made, oldest first.
    #[must_use]
    pub fn calls(&self) -> &[CallRecord] {
        &self.log
    }

    /// How the calls ended that were made so far, by operation.
    #[must_use]
    pub fn call_tally(&self) -> BTreeMap<String, CallTally> {
        call_log::tally(&self.log)
    }

    /// Forgets the calls made so far.
    pub fn clear_calls(&mut self) {
        self.log.clear();
    }

    /// Takes the events emitted since the last time, oldest first: EventBridge envelopes.
    pub fn drain_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.outbox)
    }

    /// Adds a fault.
    pub fn inject(&mut self, rule: FaultRule) {
        self.faults.add(rule);
    }

    /// Takes every fault back.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// A snapshot, whoever owns it.
    #[must_use]
    pub fn snapshot(&self, id: &SnapshotId) -> Option<&Snapshot> {
        self.snapshots.get(id)
    }

    /// Every snapshot, other owners' included, by identifier.
    pub fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.values()
    }

    /// A volume.
    #[must_use]
    pub fn volume(&self, id: &VolumeId) -> Option<&Volume> {
        self.volumes.get(id)
    }

    /// Every volume, by identifier.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.values()
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.get(id)
    }

    /// Every instance, by identifier.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// An image, whoever owns it.
    #[must_use]
    pub fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.get(id)
    }

    /// Every image, other owners' included, by identifier.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// The state of a KMS key by its ARN, as KMS spells it; none where there is no such key.
    #[must_use]
    pub fn key(&self, arn: &str) -> Option<&str> {
        self.keys.get(arn).map(String::as_str)
    }

    /// Makes a KMS key, or brings it into another state, such as `Enabled`, `Disabled` or
    /// `PendingDeletion` (`KeyState`, KMS API Reference).
    pub fn set_key(&mut self, arn: &str, state: &str) {
        self.keys.insert(arn.to_owned(), state.to_owned());
    }

    /// A launch template.
    #[must_use]
    pub fn launch_template(&self, id: &LaunchTemplateId) -> Option<&LaunchTemplate> {
        self.launch_templates.get(id)
    }

    pub(crate) fn is_own(&self, owner: &str) -> bool {
        owner == self.settings.account_id
    }
}
