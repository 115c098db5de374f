//! `holdfast adopt`: put what another tool made under a policy.

mod show;

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal};

use holdfast::adopt::{Asked, Prospect, prospect, write};
use holdfast::aws::sts;
use holdfast::plan::adopt::{Proposal, Proposed, Tagging};
use holdfast::ports::{CallError, ErrorClass};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report, Run, whole_second};
use holdfast::settings::load_policies;
use serde::Serialize;
use uuid::Uuid;

use super::head;
use super::retention::named;
use crate::account::Account;
use crate::args::{AdoptArguments, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::table::Look;
use crate::output::{plain, print, print_json, progress};

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

/// The contract's report, with more in its items.
#[derive(Debug, Serialize)]
struct Adoption<'a> {
    schema: u32,
    run: &'a Run,
    summary: &'a BTreeMap<Outcome, u64>,
    items: Vec<Line>,
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
    let place = account.region.as_deref().unwrap_or("no Region");
    progress(&format!("reading EC2 and the lineage in {place} ..."));

    let number = sts::account(&account.config).await;
    let run = format!("adopt-{}", Uuid::new_v4());
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
                let again = async || Ok(prospect(ec2, table, &asked).await?);
                confirmed(&policy.name, &mut io::stdin().lock(), &shown, again).await?
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
    let report = Report::new(run, lines.iter().map(|line| line.item.clone()).collect());
    let exit = Exit::of_report(&report);
    if global.json {
        let mut items = report.items.into_iter();
        let items = lines.into_iter().map(|line| Line {
            // The report's, with whole seconds.
            item: items.next().unwrap_or(line.item),
            ..line
        });
        print_json(&Adoption {
            schema: report.schema,
            run: &report.run,
            summary: &report.summary,
            items: items.collect(),
        })?;
    } else if wanted {
        print(&show::written(&shown, &written, look))?;
    }
    Ok(exit)
}

fn adoptable(proposal: &Proposal) -> bool {
    matches!(proposal.proposed, Proposed::Adopt(_))
}

/// Whether somebody is there who can be asked.
fn asks_a_person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether a person who was shown this wants it, and it is still so: an answer takes time, in which
/// the account may have changed.
///
/// # Errors
/// The answer cannot be read, or what stands in the account is no longer what was shown.
async fn confirmed(
    policy: &str,
    answers: &mut impl BufRead,
    shown: &Prospect,
    again: impl AsyncFnOnce() -> Result<Prospect, Failure>,
) -> Result<bool, Failure> {
    plain(&format!("put these under policy {policy}? [y/N]"));
    let mut answer = String::new();
    answers
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        plain("nothing was changed");
        return Ok(false);
    }
    if again().await?.proposals != shown.proposals {
        return Err(Failure::failed(
            "what stands in the account is no longer what was shown; nothing was changed: run the \
             command again",
        ));
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ids: &[&str]) -> Prospect {
        let proposals = ids.iter().map(|id| Proposal {
            id: (*id).to_owned(),
            source: None,
            time: None,
            proposed: Proposed::Adopt(Vec::new()),
        });
        Prospect {
            proposals: proposals.collect(),
            verdicts: Vec::new(),
            changed: Vec::new(),
            unread: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// What comes of an answer when `then` stands in the account after it, and whether that was
    /// looked up.
    async fn asked(answer: &str, then: &[&str]) -> (Result<bool, Failure>, bool) {
        let mut looked = false;
        let again = async || {
            looked = true;
            Ok(shown(then))
        };
        let said = confirmed(
            "nightly",
            &mut answer.as_bytes(),
            &shown(&["snap-1"]),
            again,
        )
        .await;
        (said, looked)
    }

    #[tokio::test]
    async fn only_a_plain_yes_adopts() {
        for yes in ["y\n", "Y\n", "yes\n", " YES \r\n", "y"] {
            assert_eq!(asked(yes, &["snap-1"]).await, (Ok(true), true), "{yes:?}");
        }
        // The last is a terminal that was closed.
        for no in ["\n", "n\n", "no\n", "yess\n", "y n\n", "j\n", "\ny\n", ""] {
            assert_eq!(asked(no, &["snap-1"]).await, (Ok(false), false), "{no:?}");
        }
    }

    #[tokio::test]
    async fn an_account_that_changed_while_the_person_thought_is_left_alone() {
        let (said, _) = asked("y\n", &["snap-1", "snap-2"]).await;
        let failure = said.unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(
            failure.message.contains("nothing was changed"),
            "{}",
            failure.message
        );
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_is_no_yes() {
        let (said, looked) = {
            let mut looked = false;
            let again = async || {
                looked = true;
                Ok(shown(&["snap-1"]))
            };
            // Not UTF-8, which `read_line` refuses.
            let mut answer: &[u8] = b"y\xff\n";
            let said = confirmed("nightly", &mut answer, &shown(&["snap-1"]), again).await;
            (said, looked)
        };
        assert_eq!(said.unwrap_err().exit, Exit::Failed);
        assert!(!looked);
    }
}
