//! `holdfast report`: pictures of everything, on one page that needs no network.

mod calendar;
mod file;
mod graph;
mod outlook;
mod page;
mod picture;
mod words;

use std::path::Path;

use holdfast::check::coverage_of;
use holdfast::create;
use holdfast::inventory::{Inventory, List, Listing};
use holdfast::plan::census::findings;
use holdfast::plan::coverage::Coverage;
use holdfast::plan::judge::{Evidence, Verdict};
use holdfast::plan::reconcile::Seen;
use holdfast::policy::PolicyFile;
use holdfast::ports::ReadEc2;
use holdfast::report::{Mode, Report, Run, sources};
use holdfast::settings::load_policies;
use holdfast::sweep::{self, Sweep, lists};
use jiff::Timestamp;
use uuid::Uuid;

use super::head;
use super::plan::drifted;
use crate::account::Account;
use crate::args::{Global, ReportArguments};
use crate::exit::Exit;
use crate::failure::{Failure, unlisted};
use crate::output::items::counts;
use crate::output::{print_report, progress, visible};
use outlook::outlook;
use page::page;
use picture::{LIMIT, Picture, Sources};

/// Runs the command.
///
/// # Errors
/// The policy file is wrong, EC2 or the table cannot be read, or the page cannot be written.
pub async fn run(global: &Global, arguments: &ReportArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    let policies = load_policies(&arguments.policies.file, now)?;
    let account = Account::connect(global).await?;
    let Account { ec2, table, .. } = &account;
    account.reading("EC2 and the ledger");

    let (number, creations, inventory) = tokio::join!(
        account.number(),
        create::preview(ec2, table, &policies, now),
        lists::read(ec2, &policies),
    );
    let mut others = creations?;
    if let Some(error) = &inventory.snapshots.error
        && inventory.snapshots.pages == 0
    {
        return Err(unlisted(error));
    }
    let asked = Sweep {
        policies: &policies,
        only: None,
        release: None,
        account: number.as_deref(),
        now,
        acts: false,
    };
    let (planned, coverage) = tokio::join!(
        sweep::plan(table, &asked, &inventory),
        covered(ec2, &policies, &inventory, number.as_deref(), now),
    );
    progress("drawing ...");
    let verdicts: Vec<Verdict> = planned.verdicts.iter().collect();
    others.extend(findings(&planned.settled.trips));
    let unread = lists::unread(&inventory);
    let complete = unread.is_empty();
    others.extend(unread);
    others.extend(coverage.others.iter().cloned());

    let run = Run {
        mode: Some(Mode::Plan),
        account: number,
        region: account.region.clone(),
        policy_sha256: Some(policies.sha256.clone()),
        plan_hash: Some(planned.settled.plan_hash.clone()),
        complete,
        evidence: sources(&inventory.readings(), &policies),
        ..head("report", now)
    };
    let mut items = others.clone();
    items.extend(verdicts.iter().map(Verdict::planned));
    items.extend(coverage.sources.iter().map(|source| source.item()));
    let report = Report::new(run, items);
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &planned.on_record,
        account: inventory.own_account(report.run.account.as_deref()),
    };
    let outlook = outlook(&policies, &evidence, now);
    let picture = Picture::draw(&Sources {
        run: &report.run,
        summary: &report.summary,
        policies: &policies,
        inventory: &inventory,
        on_record: &planned.on_record,
        verdicts: &verdicts,
        coverage: &coverage,
        items: &others,
        outlook: &outlook,
        now,
    });
    let page = page(&picture, &Uuid::new_v4().simple().to_string())
        .map_err(|error| Failure::failed(format!("no page can be made: {error}")))?;
    if page.len() > LIMIT {
        let (size, limit) = (page.len() >> 20, LIMIT >> 20);
        return Err(Failure::failed(format!(
            "the page would take {size} MiB, more than the {limit} that a browser opens at once; \
             give a policy file with fewer policies"
        )));
    }
    file::write(&arguments.html, &page)?;
    print_report(global.json, &report, || {
        people(&arguments.html, &picture, &report, page.len())
    })?;
    let drift = verdicts.iter().any(drifted);
    let exit = if drift { Exit::Attention } else { Exit::Done };
    Ok(exit.merge(Exit::of_report(&report)))
}

/// The coverage of what the sweep's lists show.
async fn covered<E: ReadEc2>(
    ec2: &E,
    policies: &PolicyFile,
    inventory: &Inventory,
    told: Option<&str>,
    now: Timestamp,
) -> Coverage {
    let snapshots = plain(&inventory.snapshots, inventory.snapshots.items.iter());
    let images = plain(&inventory.images, inventory.images.items.iter());
    let seen = Seen {
        snapshots: &snapshots,
        named: &inventory.mapped,
        images: &images,
        instances: Some(&inventory.instances),
        volumes: Some(&inventory.volumes),
        account: inventory.own_account(told),
    };
    coverage_of(ec2, &seen, policies, now).await
}

/// A list in the plainest form.
fn plain<I, T>(list: &List<I>, items: impl Iterator<Item = T>) -> Listing<T> {
    Listing {
        items: items.collect(),
        source: list.source,
        pages: list.pages,
        read_at: list.read_at,
        error: list.error.clone(),
    }
}

fn people(path: &Path, picture: &Picture<'_>, report: &Report, bytes: usize) -> String {
    let (sources, backups) = picture.size();
    let path = path.display().to_string();
    let kib = bytes.div_ceil(1024);
    let mut text = format!(
        "{}: {sources} sources, {backups} backups, {kib} KiB\n{}\n",
        visible(&path),
        counts(&report.items)
    );
    if let Some(left_out) = picture.left_out() {
        text.push_str(&format!("not shown one by one: {left_out}\n"));
    }
    text
}
