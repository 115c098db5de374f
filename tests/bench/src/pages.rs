//! Whole answers of the lists, rendered once, and each entry of theirs by its identifier.

use std::collections::HashMap;
use std::fmt::Write;

use axum::body::Bytes;

use crate::fleet::{self, DEVICES, Fleet, MACHINES, TEMPLATES, VERSIONS};
use crate::render;

/// Entries of a page: the most that EC2 gives (`MaxResults`, EC2 API Reference).
pub const PAGE: usize = 1000;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// A list: its pages, and its entries by identifier, which are parts of them.
#[derive(Debug, Default)]
pub struct List {
    /// Whole answers. The token of the next page is its number.
    pub pages: Vec<Bytes>,
    entries: HashMap<String, Bytes>,
}

/// Everything that the account answers with.
#[derive(Debug)]
pub struct Pages {
    /// `DescribeSnapshots`.
    pub snapshots: List,
    /// `DescribeImages`.
    pub images: List,
    /// `DescribeInstances`.
    pub instances: List,
    /// `DescribeVolumes`.
    pub volumes: List,
    /// `DescribeLaunchTemplates`.
    pub templates: List,
    /// `DescribeLaunchTemplateVersions`, by the template.
    pub versions: HashMap<String, Bytes>,
    /// The image that maps a snapshot.
    pub mapped_by: HashMap<String, String>,
    /// The snapshots that an image maps.
    pub backing: HashMap<String, Vec<String>>,
}

/// An answer around some entries.
#[must_use]
pub fn answer(operation: &str, set: &str, entries: &str, next: Option<usize>) -> String {
    let mut out = String::with_capacity(entries.len() + 512);
    // Writing to memory cannot fail.
    let _written = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"{NAMESPACE}\">\
         <requestId>6f2d4c1e-bench</requestId><{set}>{entries}</{set}>"
    );
    if let Some(next) = next {
        let _written = write!(out, "<nextToken>{next}</nextToken>");
    }
    let _written = write!(out, "</{operation}Response>");
    out
}

impl List {
    fn render<T>(
        operation: &str,
        set: &str,
        rows: impl Iterator<Item = T>,
        id: impl Fn(&T) -> String,
        write: impl Fn(&mut String, &T) -> std::fmt::Result,
    ) -> Self {
        let mut list = Self::default();
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let mut entries = String::new();
            let mut places = Vec::with_capacity(PAGE);
            for row in rows.by_ref().take(PAGE) {
                let from = entries.len();
                // Writing to memory cannot fail.
                let _written = write(&mut entries, &row);
                places.push((id(&row), from..entries.len()));
            }
            let next = rows.peek().is_some().then(|| list.pages.len() + 1);
            let text = answer(operation, set, &entries, next);
            let head = text.find(&entries).unwrap_or(0);
            let page = Bytes::from(text);
            for (id, place) in places {
                let place = page.slice(head + place.start..head + place.end);
                list.entries.insert(id, place);
            }
            list.pages.push(page);
        }
        list
    }

    /// Those of the entries that are there, as EC2 answers a filter by identifier.
    pub fn pick<'a>(&self, ids: impl Iterator<Item = &'a String>) -> String {
        let mut entries = String::new();
        for entry in ids.filter_map(|id| self.entries.get(id)) {
            entries.push_str(&String::from_utf8_lossy(entry));
        }
        entries
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is an entry of that identifier.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }
}

impl Pages {
    /// Renders the whole account.
    #[must_use]
    pub fn render(fleet: Fleet) -> Self {
        let snapshots = List::render(
            "DescribeSnapshots",
            "snapshotSet",
            fleet.snapshots(),
            |row| row.id.clone(),
            render::snapshot,
        );
        let images = List::render(
            "DescribeImages",
            "imagesSet",
            fleet.images(),
            |row| row.id.clone(),
            render::image,
        );
        let instances = List::render(
            "DescribeInstances",
            "reservationSet",
            0..MACHINES,
            |machine| fleet::instance_id(*machine),
            |out, machine| render::instance(out, *machine, fleet.newest),
        );
        let volumes = List::render(
            "DescribeVolumes",
            "volumeSet",
            (0..MACHINES * DEVICES).map(|n| (n / DEVICES, n % DEVICES)),
            |(machine, device)| fleet::volume_id(*machine, *device),
            |out, (machine, device)| render::volume(out, *machine, *device, fleet.newest),
        );
        let templates = List::render(
            "DescribeLaunchTemplates",
            "launchTemplates",
            0..TEMPLATES,
            |template| fleet::template_id(*template),
            |out, template| render::template(out, *template, fleet.newest),
        );
        let versions = (0..TEMPLATES).map(|template| {
            let mut entries = String::new();
            for version in 1..=VERSIONS {
                // Writing to memory cannot fail.
                let _written = render::version(&mut entries, template, version, fleet.newest);
            }
            let operation = "DescribeLaunchTemplateVersions";
            let text = answer(operation, "launchTemplateVersionSet", &entries, None);
            (fleet::template_id(template), Bytes::from(text))
        });
        let backing: HashMap<String, Vec<String>> =
            fleet.images().map(|row| (row.id, row.snapshots)).collect();
        let pairs = backing.iter();
        let mapped_by =
            pairs.flat_map(|(image, all)| all.iter().map(|s| (s.clone(), image.clone())));
        Self {
            snapshots,
            images,
            instances,
            volumes,
            templates,
            versions: versions.collect(),
            mapped_by: mapped_by.collect(),
            backing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_with_its_last_page_and_gives_each_entry_alone() {
        let rows = 0..2_500_usize;
        let list = List::render(
            "DescribeThings",
            "things",
            rows,
            usize::to_string,
            |out, n| write!(out, "<item>{n}</item>"),
        );
        let tokens: Vec<bool> = list
            .pages
            .iter()
            .map(|page| String::from_utf8_lossy(page).contains("<nextToken>"))
            .collect();
        assert_eq!(tokens, [true, true, false]);
        assert_eq!(list.len(), 2_500);
        let ids = ["2499".to_owned(), "none".to_owned(), "7".to_owned()];
        assert_eq!(list.pick(ids.iter()), "<item>2499</item><item>7</item>");
    }
}
