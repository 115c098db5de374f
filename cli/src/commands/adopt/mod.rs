//! `holdfast adopt`: put what another tool made under a policy.

mod show;

use std::collections::BTreeMap;

use holdfast::adopt::{Asked, Prospect, prospect, write};
use holdfast::artifact::ADOPTION;
use holdfast::plan::adopt::{Proposal, Proposed, Tagging};
use holdfast::ports::{CallError, ErrorClass};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Run, whole_second};
use holdfast::settings::load_policies;
use serde::Serialize;
use uuid::Uuid;

use super::head;
use super::retention::named;
use crate::account::Account;
use crate::args::{AdoptArguments, Global};
use crate::confirm::{Question, YES, asks_a_person};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::lines::Lines;
use crate::output::table::Look;
use crate::output::{plain, print};

/// A line of the report, with what `adopt` has to say beside.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    item: Item,
    /// The tags that are, or would be, written; one entry a call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writes: Vec<Write>,
    /// What becomes of a backup of the policy without the adoption.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Outcome>,
}

#[derive(Debug, Serialize)]
struct Write {
    resources: Vec<String>,
    tags: BTreeMap<String, String>,
}

impl AsMut<Item> for Line {
    fn as_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}

/// Runs the command.
///
/// # Errors
/// The policy file or the policy's name is wrong, EC2 cannot be read, or what was shown is no longer
/// so.
pub async fn run(global: &Global, arguments: &AdoptArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    let policies = load_policies(&arguments.policies.file, now)?;
    let policy = named(&policies, &arguments.policy, &arguments.policies.file)?;
    let account = Account::connect(global).await?;
    account.reading("EC2 and the lineage");

    let number = account.number().await;
    let run = format!("{ADOPTION}{}", Uuid::new_v4());
    let asked = Asked {
        policies: &policies,
        policy,
        ids: &arguments.ids,
        account: number.as_deref(),
        run: &run,
        now,
    };
    let (ec2, table) = (&account.ec2, &account.table);
    let shown = prospect(ec2, table, &asked).await?;
    let look = Look::of_stdout();
    if !global.json {
        print(&show::prospect(&shown, policy, now, look))?;
    }
    let any = shown.proposals.iter().any(adoptable);
    let mut wanted = any && arguments.yes;
    if any && !arguments.yes && !global.json {
        wanted = match asks_a_person() {
            true => {
                let question = format!("put these under policy {}? [y/N]", policy.name);
                let asking = Question {
                    words: &question,
                    expected: &YES,
                    otherwise: "nothing was changed",
                };
                let again =
                    async || Ok(prospect(ec2, table, &asked).await?.proposals == shown.proposals);
                asking.ask(again).await?
            }
            false => {
                plain("nothing was changed; --yes writes these tags");
                false
            }
        };
    }
    let mut written = BTreeMap::new();
    if wanted {
        for proposal in &shown.proposals {
            if let Proposed::Adopt(taggings) = &proposal.proposed {
                written.insert(proposal.id.clone(), write(ec2, taggings).await);
            }
        }
    }
    let lines = lines(&shown, &policy.name, &written);
    let run = Run {
        account: number,
        region: account.region.clone(),
        policy_sha256: Some(policies.sha256.clone()),
        complete: shown.unread.is_empty(),
        evidence: shown.evidence.clone(),
        id: run,
        ..head("adopt", now)
    };
    let report = Lines::new(run, lines);
    if global.json {
        report.print_json()?;
    } else if wanted {
        print(&show::written(&shown, &written, look))?;
    }
    Ok(report.exit)
}

fn adoptable(proposal: &Proposal) -> bool {
    matches!(proposal.proposed, Proposed::Adopt(_))
}

/// The report's lines: what was named first, then the verdicts.
fn lines(
    shown: &Prospect,
    policy: &str,
    written: &BTreeMap<String, Result<(), CallError>>,
) -> Vec<Line> {
    let bare = |item| Line {
        item,
        writes: Vec::new(),
        before: None,
    };
    let mut lines: Vec<Line> = Vec::new();
    for proposal in &shown.proposals {
        let (outcome, reason, taggings) = outcome(proposal, written.get(&proposal.id));
        let item = Item {
            source: proposal.source.clone(),
            time: proposal.time,
            slot: proposal
                .time
                .filter(|_| adoptable(proposal))
                .map(whole_second),
            ..Item::new(Action::Record, &proposal.id, outcome)
        };
        let writes = taggings.iter().map(|tagging| Write {
            resources: tagging.resources.clone(),
            tags: tagging.tags.clone(),
        });
        lines.push(Line {
            writes: writes.collect(),
            ..bare(item.policy(policy).reason(reason))
        });
    }
    lines.extend(shown.verdicts.iter().cloned().map(bare));
    lines.extend(shown.changed.iter().map(|changed| Line {
        before: Some(changed.before),
        ..bare(changed.item.clone())
    }));
    lines.extend(shown.unread.iter().cloned().map(bare));
    lines
}

/// What came of a proposal, and the tags that it is about.
fn outcome<'p>(
    proposal: &'p Proposal,
    written: Option<&Result<(), CallError>>,
) -> (Outcome, Reason, &'p [Tagging]) {
    match (&proposal.proposed, written) {
        (Proposed::Refuse(reason), _) => (Outcome::Failed, reason.clone(), &[]),
        (Proposed::Already(reason), _) => (Outcome::Skipped, reason.clone(), &[]),
        (Proposed::Adopt(taggings), None) => {
            let reason = Reason::with(ReasonCode::Adopted, "it can be adopted");
            (Outcome::Planned, reason, taggings)
        }
        (Proposed::Adopt(taggings), Some(Ok(()))) => {
            let words = "its tags are written; the next reconcile records it";
            let reason = Reason::with(ReasonCode::Adopted, words);
            (Outcome::Recorded, reason, taggings)
        }
        (Proposed::Adopt(taggings), Some(Err(error))) => (Outcome::Failed, failed(error), taggings),
    }
}

fn failed(error: &CallError) -> Reason {
    let (code, advice) = match error.class {
        ErrorClass::Denied => (ReasonCode::AccessDenied, "; allow ec2:CreateTags"),
        ErrorClass::Throttled | ErrorClass::Limited => (ReasonCode::Throttled, ""),
        ErrorClass::UnknownOutcome => (ReasonCode::OutcomeUnknown, ""),
        ErrorClass::WrongState
        | ErrorClass::NotFound
        | ErrorClass::InUse
        | ErrorClass::Permanent => (ReasonCode::Refused, ""),
    };
    let words = format!("{error}{advice}; the same command again finishes it");
    Reason::with(code, words)
}
