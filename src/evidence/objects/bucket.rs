//! The client of one bucket: set up from the environment, bounded, patient.

use std::error::Error as StdError;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpError;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::object::Listed;
use crate::error::{Error, Result};

/// Requests for bytes that are under way at the same time, over all buckets.
pub(super) const CONNECTIONS: usize = 16;
/// A request is tried once and then this often again, over at most 20 seconds or so of waiting.
const RETRIES: usize = 8;
/// So many requests in a row that failed for good: the server is taken for gone, and the rest is tried less often.
const TAKEN_FOR_GONE: u32 = 8;

/// The threads that wait for the network, started with the first path in an object store.
///
/// # Errors
/// They cannot be started.
pub(super) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let built = built.map_err(|e| Error::io("object stores", "starting the threads for them", e))?;
    // Another may have been installed by a program that uses this library.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(RUNTIME.get_or_init(|| built))
}

static CONNECTION: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(CONNECTIONS));

/// The stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    S3,
    Gs,
    Az,
}

impl Scheme {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }

    /// What names the credentials in the environment.
    pub(super) const fn credentials(self) -> &'static str {
        match self {
            Self::S3 => {
                "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL for a server that is \
                 not Amazon's"
            }
            Self::Gs => "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to the file with them",
            Self::Az => "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or another of its credentials",
        }
    }
}

/// A store, both as that and as one that is listed page by page.
trait Store: ObjectStore + PaginatedListStore {}
impl<T: ObjectStore + PaginatedListStore> Store for T {}

/// A bucket, or Azure's container.
pub(super) struct Bucket {
    patient: Arc<dyn Store>,
    /// The same without patience.
    hasty: Arc<dyn Store>,
    failed_in_a_row: AtomicU32,
}

/// Bytes of an object from where they were asked for, and why they are fewer than were asked for.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) failure: Option<String>,
}

impl Bucket {
    /// Sets up the client; nothing is sent yet.
    ///
    /// # Errors
    /// The environment does not say enough, or contradicts itself.
    pub(super) fn new(scheme: Scheme, name: &str) -> object_store::Result<Self> {
        let (patient, hasty) = (store(scheme, name, RETRIES)?, store(scheme, name, 1)?);
        Ok(Self { patient, hasty, failed_in_a_row: AtomicU32::new(0) })
    }

    /// One page of the list of what begins with `prefix`. A page that breaks off is asked for again by itself.
    pub(super) async fn page(
        &self,
        prefix: Option<&str>,
        from: Option<&str>,
    ) -> object_store::Result<PaginatedListResult> {
        let mut tries = 0;
        loop {
            let options = PaginatedListOptions { page_token: from.map(str::to_owned), ..Default::default() };
            match self.patient.list_paginated(prefix, options).await {
                Err(error) if tries < RETRIES && broke_off(&error) => tries += 1,
                result => return result,
            }
            tokio::time::sleep(Duration::from_millis(100 << tries.min(5))).await;
        }
    }

    /// What the store says of an object; `None` if there is none. Without need there is no patience either.
    pub(super) async fn head(&self, location: &Path, needed: bool) -> object_store::Result<Option<ObjectMeta>> {
        let store = if needed { &self.patient } else { &self.hasty };
        match store.head(location).await {
            Ok(meta) => Ok(Some(meta)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of an object, as long as it is the one that was listed.
    pub(super) async fn get(&self, listed: &Listed, range: Range<u64>) -> Fetched {
        let _turn = CONNECTION.acquire().await;
        let gone = self.failed_in_a_row.load(Ordering::Relaxed) >= TAKEN_FOR_GONE;
        let store = if gone { &self.hasty } else { &self.patient };
        let mut fetched = Fetched::default();
        match read(store.as_ref(), listed, range, &mut fetched.bytes).await {
            Ok(()) => self.failed_in_a_row.store(0, Ordering::Relaxed),
            Err(failure) => {
                if failure.of_the_server {
                    self.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
                }
                fetched.failure = Some(failure.reason);
            }
        }
        fetched
    }
}

struct Failure {
    reason: String,
    /// Whether it says something about the server rather than about the object.
    of_the_server: bool,
}

impl Failure {
    fn of_the_object(reason: &str) -> Self {
        Self { reason: reason.to_owned(), of_the_server: false }
    }
}

const REPLACED: &str = "it was replaced since it was listed; its bytes are not mixed, analyse it again when nothing \
                        writes to it";

async fn read(
    store: &dyn Store,
    Listed { meta, tag, .. }: &Listed,
    range: Range<u64>,
    bytes: &mut Vec<u8>,
) -> std::result::Result<(), Failure> {
    let options = GetOptions {
        range: Some(GetRange::Bounded(range.clone())),
        if_match: tag.get().cloned(),
        ..Default::default()
    };
    let got = store.get_opts(&meta.location, options).await.map_err(|e| failure(&e))?;
    // A server that lists no tags gives one with the first bytes, and the time tells whether these are too new.
    let newer = tag.get().is_none() && got.meta.last_modified.timestamp() > meta.last_modified.timestamp();
    let another = got.meta.e_tag.as_deref().is_some_and(|now| *tag.get_or_init(|| quoted(now)) != quoted(now));
    if newer || another || got.meta.size != meta.size || got.range != range {
        return Err(Failure::of_the_object(REPLACED));
    }
    let wanted = usize::try_from(range.end - range.start).map_err(|_| Failure::of_the_object("it is too large"))?;
    bytes.reserve_exact(wanted);
    let mut stream = got.into_stream();
    while let Some(more) = stream.try_next().await.map_err(|e| failure(&e))? {
        bytes.extend_from_slice(&more[..more.len().min(wanted - bytes.len())]);
    }
    if bytes.len() < wanted {
        return Err(Failure { reason: "the server ended it early".to_owned(), of_the_server: true });
    }
    Ok(())
}

/// Azure lists the tags without the quotes that belong to them.
pub(super) fn quoted(tag: &str) -> String {
    if tag.starts_with('"') || tag.starts_with("W/") { tag.to_owned() } else { format!("\"{tag}\"") }
}

fn failure(error: &StoreError) -> Failure {
    let within =
        |wanted: fn(&StoreError) -> bool| chain(error).any(|e| e.downcast_ref::<StoreError>().is_some_and(wanted));
    if within(|e| matches!(e, StoreError::Precondition { .. })) {
        return Failure::of_the_object(REPLACED);
    }
    if within(|e| matches!(e, StoreError::NotFound { .. })) {
        return Failure::of_the_object("it was deleted since it was listed");
    }
    let said = said(error);
    if said.contains(" 416 ") {
        return Failure::of_the_object(REPLACED);
    }
    let of_the_server = said.starts_with(NO_ANSWER) || said.contains(&format!("{ANSWERS} 5"));
    Failure { reason: if of_the_server { format!("{said}, again and again") } else { said }, of_the_server }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| (*e).source())
}

fn broke_off(error: &StoreError) -> bool {
    let transport = chain(error).any(|e| e.downcast_ref::<HttpError>().is_some());
    // A request that failed was tried again already; what remains is an answer that broke off.
    transport && !error.to_string().contains("Error performing")
}

const ANSWERS: &str = "the server answers";
const NO_ANSWER: &str = "no whole answer from the server";

/// What went wrong, without addresses (a signature may be in them), durations and the server's whole answer.
pub(super) fn said(error: &StoreError) -> String {
    const STATUS: &str = "non-2xx status code: ";
    let innermost = chain(error).last().map_or_else(String::new, ToString::to_string);
    if let Some((_, answer)) = innermost.split_once(STATUS) {
        let (status, body) = answer.split_once(':').unwrap_or((answer, ""));
        let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
        let code = code.filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
        return match code {
            Some(code) => format!("{ANSWERS} {} ({code})", status.trim()),
            None => format!("{ANSWERS} {}", status.trim()),
        };
    }
    if innermost.contains("URL scheme is not allowed") {
        return "it is plain HTTP, which is only spoken to this machine unless AWS_ALLOW_HTTP (GOOGLE_ALLOW_HTTP, \
                AZURE_ALLOW_HTTP) is true"
            .to_owned();
    }
    let words = innermost.split_whitespace().map(|word| word.split('?').next().unwrap_or(word));
    let mut short = words.collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = short.char_indices().nth(200) {
        short.truncate(end);
    }
    if chain(error).any(|e| e.downcast_ref::<HttpError>().is_some()) { format!("{NO_ANSWER} ({short})") } else { short }
}

fn store(scheme: Scheme, name: &str, retries: usize) -> object_store::Result<Arc<dyn Store>> {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(4),
        ..BackoffConfig::default()
    };
    let retry = RetryConfig { backoff, max_retries: retries, retry_timeout: Duration::from_mins(2) };
    Ok(match scheme {
        Scheme::S3 => {
            let builder = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry);
            let set =
                |builder: AmazonS3Builder, (key, value)| builder.with_config(AmazonS3ConfigKey::Client(key), value);
            Arc::new(client(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]).fold(builder, set).build()?)
        }
        Scheme::Gs => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(name).with_retry(retry);
            let set = |builder: GoogleCloudStorageBuilder, (key, value)| {
                builder.with_config(GoogleConfigKey::Client(key), value)
            };
            Arc::new(client(&["GOOGLE_BASE_URL"]).fold(builder, set).build()?)
        }
        Scheme::Az => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(name).with_retry(retry);
            let set =
                |builder: MicrosoftAzureBuilder, (key, value)| builder.with_config(AzureConfigKey::Client(key), value);
            Arc::new(client(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]).fold(builder, set).build()?)
        }
    })
}

/// What is set besides the environment. HTTP without TLS is spoken to this machine, and elsewhere only where the
/// environment allows it.
fn client(endpoints: &[&str]) -> impl Iterator<Item = (ClientConfigKey, &'static str)> {
    let endpoint = endpoints.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let here = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|here| endpoint.strip_prefix(here).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    let plain = here.then_some((ClientConfigKey::AllowHttp, "true"));
    [(ClientConfigKey::Timeout, "60 seconds")].into_iter().chain(plain)
}
