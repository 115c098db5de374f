//! The files that commands are given.

use std::path::Path;

use super::account::POLICIES;

/// Another policy file: keeps one less, and knows no archive.
fn other() -> String {
    let (kept, _) = POLICIES.split_once("  - name: archive").unwrap();
    kept.replace("last: 2, weekly: 1", "last: 1")
}

const WRONG: &str = "version: 1
policies:
  - name: Nightly
    protect: volumes
    select: { volumes: { tags: { Backup: yes } } }
    schedule: \"cron(0 3 * * * *)\"
    retain: { last: 0 }
";

const FLEET: &str = "version: 1
instances:
  - { name: db, count: 2, tags: { Backup: nightly },
      volumes: [ { size_gib: 8, boot: true }, { size_gib: 100, changed_gib_per_day: 2.5 } ] }
volumes:
  - { name: ledger, count: 1, size_gib: 50, tags: { Backup: ledger } }
";

const TIMES: &str = "2026-03-02T02:00:00Z
2026-03-01T02:00:00Z
2026-02-28T02:00:00Z
2026-02-22T02:00:00+01:00
2026-02-08T02:00:00Z
";

/// Writes them into a folder.
pub fn write(folder: &Path) {
    let files = [
        ("policies.yaml", POLICIES),
        ("other.yaml", &other()),
        ("wrong.yaml", WRONG),
        ("fleet.yaml", FLEET),
        ("times.txt", TIMES),
        (
            "dry-run.json",
            r#"{"dry_run": true, "now": "2026-03-02T10:30:00Z"}"#,
        ),
        ("unknown.json", r#"{"reconcile": true}"#),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}
