//! What reads still show of what has changed or gone.
//!
//! A change need not show at once in what is read afterwards (EC2 Developer Guide, "Eventual
//! consistency"): a list may miss what was just made, still show what was just deleted, and show a
//! tag or a permission as it was. What is deleted or changed leaves an [`Echo`] of what it was, and
//! reads show the echo until it has faded; calls that change something always meet the truth.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use jiff::{SignedDuration, Timestamp};

use crate::account::Account;
use crate::model::auto_scaling::{AutoScalingGroup, LaunchConfiguration};
use crate::model::image::Image;
use crate::model::instance::Instance;
use crate::model::launch_template::LaunchTemplate;
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::page::{candidates, hash};
use crate::random::mix;

/// What a resource was before a change.
#[derive(Clone, Debug)]
struct Echo<V> {
    value: V,
    changed: Timestamp,
    until: Timestamp,
}

/// A change and how long reads need not show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    at: Timestamp,
    until: Timestamp,
    /// A read that lags by itself may come; see [`crate::Chaos`].
    kept: bool,
}

/// What one read sees: everything up to `settled`, and echoes that have not faded by `now`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    now: Timestamp,
    settled: Timestamp,
}

impl View {
    /// Whether something is seen that lists show from this time on.
    pub(crate) fn lists(self, listed_from: Timestamp) -> bool {
        listed_from <= self.settled
    }

    fn hears<V>(self, echo: &Echo<V>) -> bool {
        echo.until > self.now || echo.changed > self.settled
    }
}

/// Echoes of one kind of resource.
///
/// Of several changes within the lag the oldest state stays in sight, until the last of them shows:
/// EC2 bounds neither.
#[derive(Clone, Debug)]
pub(crate) struct Echoes<K, V> {
    by_id: BTreeMap<K, Echo<V>>,
    tidy_at: usize,
}

impl<K, V> Default for Echoes<K, V> {
    fn default() -> Self {
        Self {
            by_id: BTreeMap::new(),
            tidy_at: 64,
        }
    }
}

impl<K: Ord + AsRef<str> + Clone, V: Clone> Echoes<K, V> {
    /// Keeps what a resource was before a change.
    pub(crate) fn keep(&mut self, id: &K, before: &V, change: Change) {
        if !change.kept && change.until <= change.at {
            return;
        }
        if self.by_id.len() >= self.tidy_at {
            // One that a lagging read might still want is younger than this by far.
            let old = change.at.checked_sub(SignedDuration::from_hours(24));
            let old = old.unwrap_or(Timestamp::MIN);
            self.by_id
                .retain(|_, e| e.until > change.at || e.changed > old);
            self.tidy_at = (self.by_id.len() * 2).max(64);
        }
        match self.by_id.get_mut(id) {
            Some(echo) if echo.until > change.at => echo.until = echo.until.max(change.until),
            _ => {
                let echo = Echo {
                    value: before.clone(),
                    changed: change.at,
                    until: change.until,
                };
                self.by_id.insert(id.clone(), echo);
            }
        }
    }

    /// One resource as a read sees it: its echo, or itself.
    pub(crate) fn one<'a>(&'a self, real: &'a BTreeMap<K, V>, id: &K, view: View) -> Option<&'a V> {
        let echo = self.by_id.get(id).filter(|e| view.hears(e));
        echo.map(|e| &e.value).or_else(|| real.get(id))
    }

    /// The resources as a read sees them, in the order of their identifiers: those after a key, or
    /// only those named.
    pub(crate) fn over<'a>(
        &'a self,
        real: &'a BTreeMap<K, V>,
        view: View,
        after: Option<&str>,
        named: Option<&BTreeSet<String>>,
        key: fn(String) -> K,
    ) -> Box<dyn Iterator<Item = (String, &'a V)> + 'a> {
        let real = candidates(real, after, named, key);
        if self.by_id.is_empty() {
            return real;
        }
        let heard = candidates(&self.by_id, after, named, key)
            .filter_map(move |(id, echo)| view.hears(echo).then_some((id, &echo.value)));
        let (mut real, mut heard) = (real.peekable(), heard.peekable());
        Box::new(std::iter::from_fn(move || {
            let order = match (real.peek(), heard.peek()) {
                (Some((r, _)), Some((h, _))) => r.cmp(h),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, _) => std::cmp::Ordering::Greater,
            };
            match order {
                std::cmp::Ordering::Less => real.next(),
                std::cmp::Ordering::Equal => {
                    real.next();
                    heard.next()
                }
                std::cmp::Ordering::Greater => heard.next(),
            }
        }))
    }
}

/// Echoes of every kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub(crate) instances: Echoes<InstanceId, Instance>,
    pub(crate) volumes: Echoes<VolumeId, Volume>,
    pub(crate) snapshots: Echoes<SnapshotId, Snapshot>,
    pub(crate) images: Echoes<ImageId, Image>,
    pub(crate) launch_templates: Echoes<LaunchTemplateId, LaunchTemplate>,
    pub(crate) launch_configurations: Echoes<String, LaunchConfiguration>,
    pub(crate) auto_scaling_groups: Echoes<String, AutoScalingGroup>,
}

/// A resource before a call that changes its attributes.
pub(crate) enum Before {
    Instance(Box<Instance>),
    Volume(Box<Volume>),
    Snapshot(Box<Snapshot>),
    Image(Box<Image>),
    LaunchTemplate(Box<LaunchTemplate>),
}

impl Account {
    /// What a read sees now.
    pub(crate) fn view(&self) -> View {
        View {
            now: self.now,
            settled: self
                .now
                .checked_sub(self.call_lag)
                .unwrap_or(Timestamp::MIN),
        }
    }

    /// Whether reads show what was just done to this resource late.
    fn lags(&self, id: &str) -> bool {
        let dice = mix(hash(id) ^ self.settings.seed) % 100;
        dice < u64::from(self.settings.lagging_share)
    }

    /// From when on lists show this resource, which is made now.
    pub(crate) fn listed_from(&self, id: &str) -> Timestamp {
        self.after(self.lag_of(id, self.settings.list_lag))
    }

    /// The given lag for a resource that lags, none for others.
    pub(crate) fn lag_of(&self, id: &str, lag: SignedDuration) -> SignedDuration {
        if self.lags(id) {
            lag
        } else {
            SignedDuration::ZERO
        }
    }

    /// When a list shows what happened to this resource at a time.
    pub(crate) fn later(&self, time: Timestamp, id: &str, lag: SignedDuration) -> Timestamp {
        let lag = self.lag_of(id, lag);
        time.checked_add(lag).unwrap_or(Timestamp::MAX)
    }

    /// A change of this resource now, which reads show after `lag`.
    pub(crate) fn change(&self, id: &str, lag: SignedDuration) -> Change {
        Change {
            at: self.now,
            until: self.after(self.lag_of(id, lag)),
            kept: self
                .settings
                .chaos
                .as_ref()
                .is_some_and(|c| c.lagging_list > 0),
        }
    }

    /// A deletion of this resource now.
    pub(crate) fn deletion(&self, id: &str) -> Change {
        self.change(id, self.settings.deleted_visible)
    }

    /// The resources named, as they are before a call that changes their attributes; nothing where
    /// reads would show the change at once.
    pub(crate) fn before(&self, ids: &[String]) -> Vec<Before> {
        let attribute_lag = self.settings.attribute_lag;
        ids.iter()
            .filter(|id| {
                let change = self.change(id, attribute_lag);
                change.kept || change.until > change.at
            })
            .filter_map(|id| self.as_it_is(id))
            .collect()
    }

    fn as_it_is(&self, id: &str) -> Option<Before> {
        Some(match id.split_once('-')?.0 {
            "i" => Before::Instance(Box::new(self.instances.get(&InstanceId::new(id))?.clone())),
            "vol" => Before::Volume(Box::new(self.volumes.get(&VolumeId::new(id))?.clone())),
            "snap" => Before::Snapshot(Box::new(self.snapshots.get(&SnapshotId::new(id))?.clone())),
            "ami" => Before::Image(Box::new(self.images.get(&ImageId::new(id))?.clone())),
            "lt" => {
                let id = LaunchTemplateId::new(id);
                Before::LaunchTemplate(Box::new(self.launch_templates.get(&id)?.clone()))
            }
            _ => return None,
        })
    }

    /// Leaves echoes of what a call has changed.
    pub(crate) fn leave_echoes(&mut self, before: Vec<Before>) {
        let lag = self.settings.attribute_lag;
        for one in before {
            match one {
                Before::Instance(i) => {
                    let change = self.change(i.id.as_str(), lag);
                    self.past.instances.keep(&i.id, &i, change);
                }
                Before::Volume(v) => {
                    let change = self.change(v.id.as_str(), lag);
                    self.past.volumes.keep(&v.id, &v, change);
                }
                Before::Snapshot(s) => {
                    let change = self.change(s.id.as_str(), lag);
                    self.past.snapshots.keep(&s.id, &s, change);
                }
                Before::Image(i) => {
                    let change = self.change(i.id.as_str(), lag);
                    self.past.images.keep(&i.id, &i, change);
                }
                Before::LaunchTemplate(t) => {
                    let change = self.change(t.id.as_str(), lag);
                    self.past.launch_templates.keep(&t.id, &t, change);
                }
            }
        }
    }
}
