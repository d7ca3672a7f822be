//! What a document that wraps a list of records says of being one page of several.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A document that wraps a list of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page {
    /// The name of the list.
    pub list: String,
    /// 0-based number of the last record before the document's end; null where there is none.
    pub last_record: Option<u64>,
    /// Members of the document that speak of paging, as text; long ones are cut short.
    pub members: BTreeMap<String, String>,
}

/// Members that speak of paging: Genesys Cloud's result pages and listings, `aws cloudtrail lookup-events`.
const NAMES: [&str; 10] =
    ["id", "cursor", "nextUri", "selfUri", "pageNumber", "pageCount", "pageSize", "total", "NextToken", "nextToken"];
/// A cursor may be long; that it is there is what matters.
const MAX_VALUE: usize = 128;
/// The list of `lookup-events`, whose last page says nothing of paging.
const LOOKUP: &str = "Events";

/// Gathers the members of a document while it is being cut into records.
#[derive(Default)]
pub(super) struct Paging {
    list: Option<String>,
    members: BTreeMap<String, String>,
    /// The member whose value is being read.
    open: Option<&'static str>,
    value: Vec<u8>,
}

impl Paging {
    /// A document begins.
    pub(super) fn begin(&mut self) {
        self.list = None;
        self.members.clear();
        self.open = None;
    }

    /// The list of records begins.
    pub(super) fn list(&mut self, name: &[u8]) {
        self.list = Some(String::from_utf8_lossy(name).into_owned());
        self.open = None;
    }

    /// The value of a member of the document begins.
    pub(super) fn name(&mut self, name: &[u8]) {
        self.open = NAMES.into_iter().find(|known| known.as_bytes() == name);
        self.value.clear();
    }

    /// Some bytes of a value.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.open.is_some() {
            let room = MAX_VALUE.saturating_sub(self.value.len());
            self.value.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// The value is an object or a list: it says nothing here.
    pub(super) fn nested(&mut self) {
        self.open = None;
    }

    /// The value ends.
    pub(super) fn end_value(&mut self) {
        let Some(name) = self.open.take() else { return };
        let value = String::from_utf8_lossy(&self.value).trim().to_owned();
        if !value.is_empty() && value != "null" {
            self.members.insert(name.to_owned(), value);
        }
    }

    /// The document ends; `None` where it wraps nothing, or says nothing of paging.
    pub(super) fn end(&mut self) -> Option<Page> {
        let list = self.list.take()?;
        let members = std::mem::take(&mut self.members);
        let speaks = !members.is_empty() || list == LOOKUP;
        speaks.then_some(Page { list, last_record: None, members })
    }
}

impl Page {
    /// A member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.members.get(name).map(String::as_str)
    }

    /// A member that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Whether it says that another page follows.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        ["cursor", "nextUri", "NextToken", "nextToken"].iter().any(|name| self.get(name).is_some_and(|v| !v.is_empty()))
    }
}
