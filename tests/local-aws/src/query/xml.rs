//! A thin writer of XML elements; text is escaped by quick-xml.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// An XML document in memory.
pub(crate) struct Xml {
    writer: Writer<Vec<u8>>,
}

impl Xml {
    /// A document with its declaration.
    pub(crate) fn new() -> io::Result<Self> {
        let mut writer = Writer::new(Vec::new());
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(Self { writer })
    }

    /// The document's bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner()
    }

    /// The root element, in a namespace or none.
    pub(crate) fn root(
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
    pub(crate) fn element(
        &mut self,
        name: &str,
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.root(name, None, content)
    }

    /// An element with text.
    pub(crate) fn leaf(&mut self, name: &str, text: impl AsRef<str>) -> io::Result<()> {
        self.element(name, |xml| xml.text(text.as_ref()))
    }

    /// Text within the element that is open.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_event(Event::Text(BytesText::new(text)))
    }

    /// An element with text, where there is any.
    pub(crate) fn maybe(&mut self, name: &str, text: Option<impl AsRef<str>>) -> io::Result<()> {
        match text {
            Some(text) => self.leaf(name, text),
            None => Ok(()),
        }
    }

    /// A list of EC2: an element with an `item` for each entry.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.entries(name, "item", items, write)
    }

    /// A list of the other Query services: an element with a `member` for each entry.
    pub(crate) fn members<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.entries(name, "member", items, write)
    }

    fn entries<T>(
        &mut self,
        name: &str,
        entry: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.element(name, |xml| {
            items
                .into_iter()
                .try_for_each(|item| xml.element(entry, |xml| write(xml, item)))
        })
    }
}
