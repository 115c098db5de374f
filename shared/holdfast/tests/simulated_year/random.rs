//! Policies and fleets drawn from a number.

use holdfast_sim::Numbers;
use jiff::{SignedDuration, Timestamp};

use super::fleet::Piece;

/// How long each case lasts.
pub const DAYS: u32 = 9;

/// The cases that run; `SIMULATED_SEEDS=FROM-TO` runs others.
pub fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("SIMULATED_SEEDS").ok();
    let asked = asked.as_deref().and_then(|range| range.split_once('-'));
    match asked {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..2,
    }
}

fn one_of<'a>(numbers: &mut Numbers, of: &[&'a str]) -> &'a str {
    of[usize::try_from(numbers.below(of.len() as u64)).unwrap()]
}

fn policy(numbers: &mut Numbers, name: &str, protect: &str, select: &str) -> String {
    let schedule = one_of(
        numbers,
        &[
            "rate(1 hour)",
            "rate(3 hours)",
            "rate(12 hours)",
            "cron(30 2 * * ? *)",
            "cron(0 4,5,22 * * ? *)",
            "cron(0 0/2 ? * MON,WED,SUN *)",
            "[ \"cron(0 6 * * ? *)\", \"rate(5 hours)\" ]",
        ],
    );
    let timezone = one_of(numbers, &["UTC", "Europe/Berlin", "Pacific/Auckland"]);
    let mut retain: Vec<String> = vec![format!("last: {}", numbers.below(4) + 1)];
    for (rule, most) in [("hourly", 8), ("daily", 4), ("weekly", 2), ("monthly", 2)] {
        if numbers.below(2) == 0 {
            retain.push(format!("{rule}: {}", numbers.below(most) + 1));
        }
    }
    if numbers.below(3) == 0 {
        retain.push(format!("within: {}h", numbers.below(60) + 1));
    }
    let grace = one_of(numbers, &["0h", "0h", "1h", "5h", "26h", "90m"]);
    let gone = one_of(numbers, &["never", "6h", "2d", "90m"]);
    let (copies, free, shrink) = (numbers.below(4) + 1, numbers.below(6), numbers.below(40));
    format!(
        "
  - name: {name}
    protect: {protect}
    select: {{ {select} }}
    schedule: {schedule}
    timezone: {timezone}
    retain: {{ {} }}
    min_copies: {copies}
    grace: {grace}
    limits: {{ max_shrink: {shrink}%, free: {free} }}
    source_gone: {{ delete_after: {gone} }}
",
        retain.join(", ")
    )
}

fn lasting(numbers: &mut Numbers, piece: Piece, start: Timestamp) -> Piece {
    let mut hour = |within: u64| i64::try_from(numbers.below(within)).unwrap();
    let time = |hour: i64| start + SignedDuration::from_mins(60 * hour + 15);
    let (since, until) = (hour(60), 60 + hour(100));
    let piece = match hour(3) {
        0 => piece.since(&time(since).to_string()),
        _ => piece,
    };
    match hour(2) {
        0 => piece.until(&time(until).to_string()),
        _ => piece,
    }
}

/// Policies and what they protect.
pub fn case(seed: u64, start: Timestamp) -> (Vec<String>, Vec<Piece>) {
    let mut numbers = Numbers::new(seed);
    let (volume, machine) = (("Backup", "volume"), ("Backup", "machine"));
    let volumes = "volumes: { tags: { Backup: volume } }";
    let machines = "instances: { tags: { Backup: machine } }";
    let policies = vec![
        policy(&mut numbers, "volumes", "volumes", volumes),
        policy(&mut numbers, "sets", "volumes", machines),
        policy(&mut numbers, "images", "instances", machines),
    ];
    let staying = Piece::machine("i-000000c0", &["vol-000000c1", "vol-000000c2"], machine);
    let mut pieces = vec![staying];
    for piece in [
        Piece::volume("vol-000000a1", volume),
        Piece::volume("vol-000000a2", volume),
        Piece::volume("vol-000000a3", volume),
        Piece::machine("i-000000e0", &["vol-000000e1"], machine),
    ] {
        pieces.push(lasting(&mut numbers, piece, start));
    }
    (policies, pieces)
}
