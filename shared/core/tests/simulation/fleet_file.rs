//! The fleet file and what is wrong with it.

use holdfast_core::simulation::Fleet;

use super::{at, fleet};

fn errors(text: &str) -> Vec<String> {
    let errors = Fleet::parse("fleet.yaml", text).unwrap_err();
    errors.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn an_entry_with_a_count_stands_for_so_many_and_its_volumes_are_attached() {
    let fleet = fleet(
        "instances:
  - name: web
    count: 2
    tags: { Backup: nightly }
    since: 2026-12-01
    until: 2027-01-01T06:00:00Z
    volumes:
      - { size_gib: 30, boot: true }
      - { size_gib: 500, type: io2, tags: { Data: \"yes\" }, changed_gib_per_day: 12.5 }
volumes:
  - { name: archive, size_gib: 2000 }",
    );
    let (instances, volumes) = fleet.at(at("2026-12-01T00:00:00Z"));
    let ids: Vec<&str> = instances.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["i-web-1", "i-web-2"]);
    let root = instances[0].root_volume().unwrap();
    assert_eq!(root.as_str(), "vol-web-1-1");
    let ids: Vec<&str> = volumes.iter().map(|one| one.id.as_str()).collect();
    let expected = [
        "vol-web-1-1",
        "vol-web-1-2",
        "vol-web-2-1",
        "vol-web-2-2",
        "vol-archive",
    ];
    assert_eq!(ids, expected);
    assert_eq!(volumes[3].attachments[0].instance, instances[1].id);
    assert_eq!(fleet.changed_mib[&volumes[3].id], 12_800);
    // Before and after, the archive is alone.
    for time in ["2026-11-30T23:59:59Z", "2027-01-01T06:00:00Z"] {
        let (instances, volumes) = fleet.at(at(time));
        assert_eq!((instances.len(), volumes.len()), (0, 1), "{time}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_key() {
    let text = "version: 1
instances:
  - name: Web
    volumes:
      - { size: 30 }
volumes:
  - { name: a, size_gib: 0 }
  - { name: a, size_gib: 1, since: yesterday }
  - { name: b, size_gib: 1, since: 2026-02-01, until: 2026-01-01 }
  - { name: c, size_gib: 1, changed_gib_per_day: -1 }
";
    let found = errors(text);
    let places: Vec<&str> = found
        .iter()
        .filter_map(|one| {
            one.rsplit_once(": ")
                .map(|_| one.split(':').nth(1).unwrap())
        })
        .collect();
    for line in ["3", "5", "7", "8", "9", "10"] {
        assert!(places.contains(&line), "line {line}: {found:#?}");
    }
    let key = |key: &str| found.iter().any(|one| one.contains(key));
    assert!(
        key("instances[0].name") && key("size_gib") && key("volumes[1].since"),
        "{found:#?}"
    );
}

#[test]
fn an_empty_fleet_and_an_unknown_version_are_refused() {
    assert!(errors("version: 1\n")[0].contains("the fleet is empty"));
    assert!(
        errors("version: 2\nvolumes: [ { name: a, size_gib: 1 } ]\n")[0].contains("version: 1")
    );
}
