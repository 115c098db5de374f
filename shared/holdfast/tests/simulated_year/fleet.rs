//! A small fleet, as seeds of an account and as the fleet of a simulation.

use holdfast_core::id::{InstanceId, VolumeId};
use holdfast_core::ports::{InstanceScope, ReadEc2};
use holdfast_core::simulation::{Fleet, Lasting};
use holdfast_sim::request::{DeleteVolume, Request, TerminateInstances};
use holdfast_sim::{Account, InProcess, InstanceSeed, Settings, VolumeSeed};
use jiff::Timestamp;

/// A volume by itself, or an instance with its volumes, and when it is there. An instance that goes
/// has one volume, which goes with it.
pub struct Piece {
    /// `vol-…` or `i-…`.
    id: &'static str,
    /// Of an instance, the root volume first.
    volumes: &'static [&'static str],
    tag: (&'static str, &'static str),
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Piece {
    pub fn volume(id: &'static str, tag: (&'static str, &'static str)) -> Self {
        Self::machine(id, &[], tag)
    }

    pub fn machine(
        id: &'static str,
        volumes: &'static [&'static str],
        tag: (&'static str, &'static str),
    ) -> Self {
        Self {
            id,
            volumes,
            tag,
            since: None,
            until: None,
        }
    }

    pub fn since(self, at: &str) -> Self {
        let since = Some(at.parse().unwrap());
        Self { since, ..self }
    }

    pub fn until(self, at: &str) -> Self {
        let until = Some(at.parse().unwrap());
        Self { until, ..self }
    }

    fn is(&self, id: &str) -> bool {
        self.id == id || self.volumes.contains(&id)
    }

    /// Puts it into the account.
    fn come(&self, account: &mut Account) {
        let (key, value) = self.tag;
        let tags = [(key.to_owned(), value.to_owned())];
        let seed = |id: &str| VolumeSeed {
            id: Some(VolumeId::new(id)),
            ..VolumeSeed::default()
        };
        if self.volumes.is_empty() {
            account.seed_volume(VolumeSeed {
                tags: tags.into(),
                ..seed(self.id)
            });
            return;
        }
        let names = ["/dev/xvda", "/dev/sdb"];
        let devices = names.into_iter().zip(self.volumes);
        let devices = devices.map(|(name, id)| (name.to_owned(), account.seed_volume(seed(id))));
        let devices = devices.collect();
        account.seed_instance(InstanceSeed {
            id: Some(InstanceId::new(self.id)),
            devices,
            tags: tags.into(),
            ..InstanceSeed::default()
        });
    }

    /// Takes it out again.
    fn go(&self, account: &mut Account) {
        let id = self.id.to_owned();
        let request = match self.volumes.is_empty() {
            true => Request::DeleteVolume(DeleteVolume { volume: id }),
            false => Request::TerminateInstances(TerminateInstances { ids: vec![id] }),
        };
        account.call(&request).unwrap();
    }

    fn lasting<T>(&self, what: T) -> Lasting<T> {
        Lasting {
            what,
            since: self.since,
            until: self.until,
        }
    }
}

/// What is there from the beginning.
pub fn begin(pieces: &[Piece], account: &mut Account) {
    for piece in pieces.iter().filter(|piece| piece.since.is_none()) {
        piece.come(account);
    }
}

/// When something comes or goes, in order.
pub fn changes(pieces: &[Piece]) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = pieces
        .iter()
        .flat_map(|piece| [piece.since, piece.until])
        .flatten()
        .collect();
    times.sort();
    times.dedup();
    times
}

/// What comes and goes at a time.
pub fn change(pieces: &[Piece], at: Timestamp, account: &mut Account) {
    for piece in pieces {
        if piece.since == Some(at) {
            piece.come(account);
        }
        if piece.until == Some(at) {
            piece.go(account);
        }
    }
}

/// The same for a simulation, as EC2 would list it.
pub async fn simulated(pieces: &[Piece]) -> Fleet {
    let mut account = Account::new(Settings::default());
    pieces.iter().for_each(|piece| piece.come(&mut account));
    let ec2 = InProcess::new(account.shared());
    let piece = |id: &str| pieces.iter().find(|piece| piece.is(id)).unwrap();
    let instances = ec2.instances(&InstanceScope::All).await.items.into_iter();
    let volumes = ec2.volumes().await.items.into_iter();
    Fleet {
        instances: instances
            .map(|one| piece(one.id.as_str()).lasting(one))
            .collect(),
        volumes: volumes
            .map(|one| piece(one.id.as_str()).lasting(one))
            .collect(),
        ..Fleet::default()
    }
}
