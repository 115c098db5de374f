//! The Recycle Bin as XML.

use std::io;

use holdfast_sim::{Binned, Image, Snapshot};

use super::encode_parts::{time, truth};
use crate::query::xml::Xml;

fn stay<T>(xml: &mut Xml, binned: &Binned<T>) -> io::Result<()> {
    xml.leaf("recycleBinEnterTime", time(binned.entered))?;
    xml.leaf("recycleBinExitTime", time(binned.exits))
}

pub(super) fn snapshot(xml: &mut Xml, binned: &Binned<Snapshot>) -> io::Result<()> {
    xml.leaf("snapshotId", &binned.resource.id)?;
    stay(xml, binned)?;
    xml.leaf("description", &binned.resource.description)?;
    xml.leaf("volumeId", &binned.resource.volume)
}

pub(super) fn image(xml: &mut Xml, binned: &Binned<Image>) -> io::Result<()> {
    xml.leaf("imageId", &binned.resource.id)?;
    xml.leaf("name", &binned.resource.name)?;
    xml.leaf("description", &binned.resource.description)?;
    stay(xml, binned)
}

/// A restored snapshot; no tags (API Reference, "RestoreSnapshotFromRecycleBin").
pub(super) fn restored(xml: &mut Xml, s: &Snapshot) -> io::Result<()> {
    xml.leaf("snapshotId", &s.id)?;
    xml.leaf("description", &s.description)?;
    xml.leaf("encrypted", truth(s.encrypted))?;
    xml.leaf("ownerId", &s.owner)?;
    xml.leaf("progress", s.progress())?;
    xml.leaf("startTime", time(s.started))?;
    xml.leaf("status", s.state.as_str())?;
    xml.leaf("volumeId", &s.volume)?;
    xml.leaf("volumeSize", s.size_gib.to_string())
}
