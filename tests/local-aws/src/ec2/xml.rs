//! A thin writer of XML elements; text is escaped by quick-xml.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// An XML document in memory.
pub(super) struct Xml {
    writer: Writer<Vec<u8>>,
}

impl Xml {
    /// A document with its declaration.
    pub(super) fn new() -> io::Result<Self> {
        let mut writer = Writer::new(Vec::new());
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(Self { writer })
    }

    /// The document's bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner()
    }

    /// The root element, in a namespace or none.
    pub(super) fn root(
        &mut self,
        name: &str,
        namespace: Option<&str>,
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut start = BytesStart::new(name);
        if let Some(namespace) = namespace {
            start.push_attribute(("xmlns", namespace));
        }
        self.writer.write_event(Event::Start(start))?;
        content(self)?;
        self.writer.write_event(Event::End(BytesEnd::new(name)))
    }

    /// An element with elements in it.
    pub(super) fn element(
        &mut self,
        name: &str,
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.root(name, None, content)
    }

    /// An element with text.
    pub(super) fn leaf(&mut self, name: &str, text: impl AsRef<str>) -> io::Result<()> {
        self.element(name, |xml| {
            xml.writer
                .write_event(Event::Text(BytesText::new(text.as_ref())))
        })
    }

    /// An element with text, where there is any.
    pub(super) fn maybe(&mut self, name: &str, text: Option<impl AsRef<str>>) -> io::Result<()> {
        match text {
            Some(text) => self.leaf(name, text),
            None => Ok(()),
        }
    }

    /// A list: an element with an `item` for each entry.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.element(name, |xml| {
            items
                .into_iter()
                .try_for_each(|item| xml.element("item", |xml| write(xml, item)))
        })
    }
}
