//! From URLs to objects: each prefix is listed once, page by page.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta};

use super::bucket::{Bucket, CONNECTIONS, Scheme, runtime, said};
use super::object::{self, Listed, Object};
use crate::error::{Error, Result};
use crate::evidence::{Input, Place};

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    scheme: Scheme,
    bucket: String,
    path: Path,
    /// It ends in a slash, or names the whole bucket: there can be no object of that name.
    folder: bool,
    url: String,
}

impl Address {
    fn parse(url: &str) -> Result<Self> {
        let usage = |reason: String| Error::Usage { what: url.to_owned(), reason };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Gs,
            _ => Scheme::Az,
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(usage("no bucket is named; expected s3://bucket/prefix".to_owned()));
        }
        let path = Path::parse(key).map_err(|_| usage("not a key: it has an empty, `.` or `..` part".to_owned()))?;
        let folder = path.is_root() || key.ends_with('/');
        Ok(Self { scheme, bucket: bucket.to_owned(), path, folder, url: url.to_owned() })
    }

    /// What the names of all objects of the bucket begin with.
    fn root(&self) -> String {
        format!("{}://{}/", self.scheme.name(), self.bucket)
    }

    /// Whether all that `other` names is found by listing this.
    fn covers(&self, other: &Self) -> bool {
        (self.scheme, &self.bucket) == (other.scheme, &other.bucket) && lies_at_or_below(&self.path, &other.path)
    }

    fn error(&self, error: &StoreError) -> Error {
        let credentials = self.scheme.credentials();
        let said = said(error);
        let reason = match error {
            _ if denied(error) => format!("{said}; the credentials must allow listing and reading: {credentials}"),
            _ if said.contains(" 404 ") => {
                format!("{said}: there is no such bucket; check its name, the region and the server")
            }
            StoreError::InvalidPath { source } => {
                format!("a key in it cannot be asked for ({source}); name prefixes that leave it out")
            }
            _ => format!("it cannot be listed: {said}; {credentials}"),
        };
        Error::Usage { what: self.url.clone(), reason }
    }
}

fn lies_at_or_below(folder: &Path, path: &Path) -> bool {
    let rest = path.as_ref().strip_prefix(folder.as_ref());
    folder.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The objects that `urls` name, in the order of their names: single ones, and all that lies below a prefix, which ends
/// where a part of the key does.
///
/// # Errors
/// A URL that names nothing, a bucket that cannot be listed.
pub(in crate::evidence) fn find(urls: &[&String]) -> Result<Vec<Input>> {
    let runtime = runtime()?;
    let mut addresses: Vec<Address> = urls.iter().map(|url| Address::parse(url)).collect::<Result<_>>()?;
    addresses.sort();
    let mut widest: Vec<&Address> = Vec::new();
    for address in &addresses {
        if !widest.iter().any(|wide| wide.covers(address)) {
            widest.push(address);
        }
    }
    let mut buckets: BTreeMap<(Scheme, &str), Arc<Bucket>> = BTreeMap::new();
    let mut listed: BTreeMap<String, Listed> = BTreeMap::new();
    for address in widest {
        let key = (address.scheme, address.bucket.as_str());
        let bucket = match buckets.get(&key) {
            Some(bucket) => bucket.clone(),
            None => buckets.entry(key).or_insert(Arc::new(open(address)?)).clone(),
        };
        for meta in runtime.block_on(list(&bucket, address)).map_err(|e| address.error(&e))? {
            let url = format!("{}{}", address.root(), meta.location);
            listed.insert(url.clone(), Listed::new(url, meta, bucket.clone()));
        }
    }
    if let Some(empty) = addresses.iter().find(|address| !listed.values().any(|object| names(address, object))) {
        let reason = "there is no such object, and none below it; check the spelling (no wildcards are expanded here)";
        return Err(Error::Usage { what: empty.url.clone(), reason: reason.to_owned() });
    }
    let objects = object::in_a_row(listed.into_values(), runtime.handle());
    Ok(objects.into_iter().map(input).collect())
}

fn input(object: Arc<Object>) -> Input {
    Input { label: object.url().into(), bytes: object.size(), place: Place::Object(object) }
}

fn names(address: &Address, object: &Listed) -> bool {
    object.url.starts_with(&address.root()) && lies_at_or_below(&address.path, &object.meta.location)
}

fn open(address: &Address) -> Result<Bucket> {
    Bucket::new(address.scheme, &address.bucket).map_err(|error| {
        let reason = format!("the store cannot be set up: {}; {}", said(&error), address.scheme.credentials());
        Error::Usage { what: address.url.clone(), reason }
    })
}

async fn list(bucket: &Bucket, address: &Address) -> object_store::Result<Vec<ObjectMeta>> {
    let prefix = (!address.path.is_root()).then(|| format!("{}/", address.path));
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let page = match bucket.page(prefix.as_deref(), token.as_deref()).await {
            Ok(page) => page,
            // Who may read one object may well not list the bucket.
            Err(error) if denied(&error) && !address.folder => {
                return bucket.head(&address.path, true).await?.map(|single| vec![single]).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        found.extend(page.result.objects);
        // A server that repeats itself would never come to an end.
        if page.page_token.is_none() || page.page_token == token {
            break;
        }
        token = page.page_token;
    }
    found.retain(|meta| meta.location != address.path);
    let mut found = without_markers(bucket, found).await?;
    if !address.folder {
        match bucket.head(&address.path, found.is_empty()).await {
            Ok(single) => found.extend(single),
            // Stores that are folders themselves fail at being asked for one.
            Err(_) if !found.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn denied(error: &StoreError) -> bool {
    matches!(error, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. })
}

/// A key that ends in a slash and holds nothing is a folder made in a console. The list does not tell it from an empty
/// object without the slash, which can be asked for.
async fn without_markers(bucket: &Bucket, mut found: Vec<ObjectMeta>) -> object_store::Result<Vec<ObjectMeta>> {
    let empty: Vec<ObjectMeta> = found.extract_if(.., |meta| meta.size == 0).collect();
    let checked = stream::iter(empty).map(|meta| async move { bucket.head(&meta.location, true).await });
    let really: Vec<Option<ObjectMeta>> = checked.buffered(CONNECTIONS).try_collect().await?;
    found.extend(really.into_iter().flatten().filter(|meta| meta.size == 0));
    Ok(found)
}
