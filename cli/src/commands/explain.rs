//! `holdfast explain`: may this backup be deleted, and what stands in the way?

use holdfast::explain::explain;
use holdfast::report::{Item, Outcome, Report, Run};
use holdfast::settings::load_policies;
use jiff::Timestamp;

use super::head;
use crate::account::Account;
use crate::args::{ExplainArguments, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::age::relative;
use crate::output::items::{readable_path, seconds, tone, verdict};
use crate::output::table::Look;
use crate::output::{print_report, visible};

/// Runs the command.
///
/// # Errors
/// The policy file is wrong, or EC2 cannot be read.
pub async fn run(global: &Global, arguments: &ExplainArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    let policies = load_policies(&arguments.policies.file, now)?;
    let account = Account::connect(global).await?;
    account.reading("EC2 and the lineage");

    let number = account.number().await;
    let (ec2, table) = (&account.ec2, &account.table);
    let told = number.as_deref();
    let explained = explain(ec2, table, &policies, &arguments.ids, told, now).await?;
    let complete = explained.is_complete();
    let run = Run {
        account: number,
        region: account.region.clone(),
        policy_sha256: Some(policies.sha256.clone()),
        complete,
        evidence: explained.evidence,
        ..head("explain", now)
    };
    let report = Report::new(run, explained.items);
    print_report(global.json, &report, || {
        people(&report.items, now, Look::of_stdout())
    })?;
    Ok(exit(&report))
}

fn exit(report: &Report) -> Exit {
    let deletable = |item: &Item| item.outcome == Outcome::Deletable;
    if report.items.iter().all(deletable) {
        Exit::of_report(report)
    } else {
        Exit::Attention
    }
}

/// A row for each reason, the artifact before its first one.
fn people(items: &[Item], now: Timestamp, look: Look) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let mut rows = Vec::new();
    for item in items {
        let taken = item
            .time
            .map(|time| format!("{} ({})", seconds(time), relative(time, now)));
        let mut first = vec![
            look.cell(verdict(item), tone(item)),
            look.plain(&item.resource),
            look.plain(text(&item.policy)),
            look.plain(text(&taken)),
        ];
        for reason in &item.reasons {
            let mut row = std::mem::take(&mut first);
            row.resize_with(4, || look.plain(""));
            row.push(look.plain(reason.code));
            row.push(look.plain(readable_path(reason)));
            rows.push(row);
        }
        if !first.is_empty() {
            first.extend([look.plain(""), look.plain("")]);
            rows.push(first);
        }
    }
    let header = ["VERDICT", "RESOURCE", "POLICY", "TIME", "REASON", "WHY"];
    let mut text = look.table(&header, rows);
    for item in items {
        text.push_str(&advice(item));
    }
    text
}

/// What would break, and what would have to change, a line each.
fn advice(item: &Item) -> String {
    let Some(advice) = &item.advice else {
        return String::new();
    };
    let mut text = String::new();
    for (title, lines) in [
        ("if it went", &advice.breaks),
        ("for it to become deletable", &advice.remedies),
    ] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{}, {title}:\n", item.resource));
        }
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            text.push_str(&format!("  - {}\n", visible(&words.join(" "))));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use holdfast::report::{Action, Advice, Reason, ReasonCode};

    use super::*;

    fn reason(code: ReasonCode, detail: &str, path: &[&str]) -> Reason {
        let path = path.iter().map(|id| (*id).to_owned()).collect();
        Reason {
            path,
            ..Reason::with(code, detail)
        }
    }

    #[test]
    fn each_reason_has_a_row_and_each_path_is_readable() {
        let item = Item::new(Action::Explain, "snap-1", Outcome::Held)
            .policy("nightly")
            .reason(reason(
                ReasonCode::UsedByLaunchTemplate,
                "lt-1 versions 1, 3",
                &["snap-1", "ami-1", "lt-1"],
            ))
            .reason(reason(
                ReasonCode::Expired,
                "no rule of nightly keeps it",
                &[],
            ));
        let look = Look {
            colour: false,
            width: None,
        };
        let text = people(&[item], Timestamp::UNIX_EPOCH, look);
        let rows: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            rows,
            [
                "held snap-1 nightly - used-by-launch-template \
                 snap-1 <- ami-1 <- lt-1 versions 1, 3",
                "expired no rule of nightly keeps it",
            ]
        );
    }

    #[test]
    fn what_would_break_and_what_would_have_to_change_stand_below_the_table() {
        let mut item = Item::new(Action::Explain, "ami-1", Outcome::Held);
        item.advice = Some(Box::new(Advice {
            breaks: vec!["launches by lt-1 version 3 fail".into()],
            remedies: vec!["delete lt-1 version 3".into(), "remove the pin".into()],
        }));
        let look = Look {
            colour: false,
            width: None,
        };
        let text = people(&[item], Timestamp::UNIX_EPOCH, look);
        assert!(
            text.ends_with(
                "\nami-1, if it went:\n  - launches by lt-1 version 3 fail\n\
                 \nami-1, for it to become deletable:\n  - delete lt-1 version 3\n  \
                 - remove the pin\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn only_when_all_may_go_is_nothing_to_be_told() {
        let exit_of = |outcomes: &[Outcome]| {
            let items = outcomes.iter();
            let items = items.map(|o| Item::new(Action::Explain, "snap-1", *o));
            exit(&Report::new(
                head("explain", Timestamp::UNIX_EPOCH),
                items.collect(),
            ))
        };
        assert_eq!(exit_of(&[Outcome::Deletable]), Exit::Done);
        for other in [Outcome::Held, Outcome::Failed] {
            assert_eq!(exit_of(&[Outcome::Deletable, other]), Exit::Attention);
        }
    }
}
