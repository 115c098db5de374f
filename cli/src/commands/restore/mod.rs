//! `holdfast restore`: make something of a backup, beside what is there.

mod report;
mod show;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast::plan::restore::{InstanceWish, VolumeWish};
use holdfast::report::Run;
use holdfast::restore::{
    Done, ImageFrom, Prospect, SetFrom, VolumeFrom, carry_out, instance, set, volume,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::head;
use crate::account::Account;
use crate::args::Global;
use crate::args::restore::{Manner, RestoreCommand};
use crate::confirm::{Question, YES, asks_a_person};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::listen;
use crate::output::lines::Lines;
use crate::output::table::Look;
use crate::output::{plain, print};

/// What was asked for, whole.
enum Asked {
    Volume(VolumeFrom, VolumeWish),
    Set(SetFrom, VolumeWish),
    Instance(ImageFrom, InstanceWish),
}

/// Runs the command.
///
/// # Errors
/// EC2 cannot be read, or what was shown is no longer so.
pub async fn run(global: &Global, command: &RestoreCommand) -> Result<Exit, Failure> {
    let (asked, manner) = asked(command)?;
    let account = Account::connect(global).await?;
    account.reading("EC2 and the lineage");
    let now = Timestamp::now();
    let look = Look::of_stdout();
    let shown = prospect(&account, &asked).await?;
    if !global.json {
        print(&show::prospect(&shown, now, look))?;
    }
    let any = !shown.plans.is_empty();
    let mut wanted = any && manner.yes;
    if any && !manner.yes && !global.json {
        wanted = match asks_a_person() {
            true => {
                let asking = Question {
                    words: "make it? [y/N]",
                    expected: &YES,
                    otherwise: "nothing was made",
                };
                let again = async || Ok(prospect(&account, &asked).await?.plans == shown.plans);
                asking.ask(again).await?
            }
            false => {
                plain("nothing was made; --yes makes it");
                false
            }
        };
    }
    let run = format!("restore-{}", Uuid::new_v4());
    let done = match wanted {
        true => Some(make(&account, &shown, &run).await),
        false => None,
    };
    let lines = report::lines(&shown, done.as_deref());
    let finished = done.iter().flatten().all(|done| done.failed.is_none());
    let run = Run {
        account: account.number().await,
        region: account.region.clone(),
        complete: finished,
        id: run,
        ..head("restore", now)
    };
    let report = Lines::new(run, lines);
    if global.json {
        report.print_json()?;
    } else if let Some(done) = &done {
        print(&show::done(&shown, done, look))?;
    }
    Ok(report.exit)
}

fn asked(command: &RestoreCommand) -> Result<(Asked, &Manner), Failure> {
    // The arguments' own rules see to it that one of the two is there.
    let missing = || Failure::usage("name a backup, or its source with --source and --at");
    Ok(match command {
        RestoreCommand::Volume(a) => {
            let newest = a.source.clone().zip(a.at);
            let from = match (&a.snapshot, newest) {
                (Some(id), _) => VolumeFrom::Snapshot(id.clone()),
                (None, Some((id, at))) => VolumeFrom::Newest(id, at),
                (None, None) => return Err(missing()),
            };
            let wish = VolumeWish {
                zone: a.az.clone(),
                volume_type: a.volume_type.clone(),
                iops: a.iops,
                throughput: a.throughput,
                initialization_rate: a.initialization_rate,
                attach: a.attach.clone(),
                copy_tags: a.manner.copy_tags,
                again: a.manner.again.clone(),
            };
            (Asked::Volume(from, wish), &a.manner)
        }
        RestoreCommand::Set(a) => {
            let newest = a.source.clone().zip(a.at);
            let from = match (&a.snapshot, newest) {
                (Some(id), _) => SetFrom::Member(id.clone()),
                (None, Some((id, at))) => SetFrom::Newest(id, at),
                (None, None) => return Err(missing()),
            };
            let wish = VolumeWish {
                zone: a.az.clone(),
                initialization_rate: a.initialization_rate,
                copy_tags: a.manner.copy_tags,
                again: a.manner.again.clone(),
                ..VolumeWish::default()
            };
            (Asked::Set(from, wish), &a.manner)
        }
        RestoreCommand::Instance(a) => {
            let newest = a.source.clone().zip(a.at);
            let from = match (&a.image, newest) {
                (Some(id), _) => ImageFrom::Image(id.clone()),
                (None, Some((id, at))) => ImageFrom::Newest(id, at),
                (None, None) => return Err(missing()),
            };
            let wish = InstanceWish {
                template: a.launch_template.clone(),
                into_template: a.into_template.clone(),
                copy_tags: a.manner.copy_tags,
                again: a.manner.again.clone(),
            };
            (Asked::Instance(from, wish), &a.manner)
        }
    })
}

async fn prospect(account: &Account, asked: &Asked) -> Result<Prospect, Failure> {
    let (ec2, table) = (&account.ec2, &account.table);
    Ok(match asked {
        Asked::Volume(from, wish) => volume(ec2, table, from, wish).await?,
        Asked::Set(from, wish) => set(ec2, table, from, wish).await?,
        Asked::Instance(from, wish) => instance(ec2, table, from, wish).await?,
    })
}

/// Makes what was shown. An interruption ends the wait, not what is under way.
async fn make(account: &Account, shown: &Prospect, run: &str) -> Vec<Done> {
    let stopped = Arc::new(AtomicBool::new(false));
    let words = "interrupted: nothing new is begun; the same command goes on";
    let listening = Arc::clone(&stopped);
    let _listening = listen(words, move || listening.store(true, Ordering::Relaxed)).await;
    let pace = wait::pace(&stopped);
    let teller = wait::Teller::new(shown.plans.len());
    let (ec2, table) = (&account.ec2, &account.table);
    let tell = |step: &_| teller.tell(step);
    let done = carry_out(ec2, table, &shown.plans, run, &pace, &tell).await;
    teller.finish();
    done
}
